BeforeAll {
    . "$PSScriptRoot/Program.ps1"
    $criu = [IO.Path]::GetFullPath("$PSScriptRoot/../../out/criu/criu")

    # Reads a line of what is open as D each time, and writes it to a file: what it has there shows.
    function Start-Reader {
        param([string] $Folder = [IO.Directory]::CreateTempSubdirectory('criups-program-').FullName)
        [IO.File]::WriteAllText("$Folder/one", "first`n" * 1000)
        [IO.File]::WriteAllText("$Folder/two", "second`n" * 1000)
        Start-Counter 'open(D, "<", "$ARGV[0]/one") or die; open(E, "<", "$ARGV[0]/two") or die; sysread(D, $x, 6); sysread(E, $x, 7)' -Folder $Folder
    }

    function Get-Target {
        param($Program, [string] $Name)
        @([IO.Directory]::GetFiles("/proc/$($Program.Id)/fd") | ForEach-Object { [IO.FileInfo]::new($_).LinkTarget } | Where-Object { $_.EndsWith("/$Name") })
    }
}

Describe 'Files that have changed' {
    BeforeEach {
        $program = Start-Reader
        $null = Invoke-CriuDump $program.Id $program.Images -IncludeContent "$($program.Folder)/t*"
    }

    AfterEach {
        Stop-Program $program
    }

    It 'are all named at once' {
        [IO.File]::AppendAllText("$($program.Folder)/one", 'more')
        [IO.File]::Delete("$($program.Folder)/two")
        $null = Invoke-CriuRestore $program.Images -ErrorVariable problem -ErrorAction SilentlyContinue
        $problem[0].FullyQualifiedErrorId | Should -Be 'FilesChanged,CriuPS.Commands.InvokeCriuRestoreCommand'
        @($problem[0].TargetObject) | Should -HaveCount 2
        $problem[0].TargetObject[0].Subject | Should -Be "$($program.Folder)/one"
        $problem[0].TargetObject[0].User | Should -Match '^fd \d+$'
        $problem[0].TargetObject[1].Subject | Should -Be "$($program.Folder)/two"
        $problem[0].TargetObject[1].Reason | Should -Match 'cannot be found'
        Test-Ended $program.Id | Should -BeTrue
    }

    It 'may have grown' {
        [IO.File]::AppendAllText("$($program.Folder)/one", 'more')
        (Invoke-CriuRestore $program.Images -FilePolicy @{ '*/one' = 'Growth' }).Id | Should -Be $program.Id
        Assert-GoesOn $program
    }

    It 'may not have become smaller where they may have grown' {
        [IO.File]::WriteAllText("$($program.Folder)/one", 'less')
        $null = Invoke-CriuRestore $program.Images -FilePolicy @{ '*/one' = 'Growth' } -ErrorVariable problem -ErrorAction SilentlyContinue
        $problem[0].FullyQualifiedErrorId | Should -Be 'FileChanged,CriuPS.Commands.InvokeCriuRestoreCommand'
        (Invoke-CriuRestore $program.Images -FilePolicy @{ '*/one' = 'Ignore' }).Id | Should -Be $program.Id
        Assert-GoesOn $program
    }

    It 'have other permissions' {
        [IO.File]::SetUnixFileMode("$($program.Folder)/one", 'UserRead, UserWrite, UserExecute')
        $null = Invoke-CriuRestore $program.Images -ErrorVariable problem -ErrorAction SilentlyContinue
        $problem[0].Exception.Message | Should -Match 'has permissions 700, but had'
        & $criu restore -d -D $program.Images --skip-file-rwx-check
        $LASTEXITCODE | Should -Be 0
        Assert-GoesOn $program
    }

    It 'come back from the copy in the set, with their times' {
        $two = "$($program.Folder)/two"
        $time = [IO.File]::GetLastWriteTimeUtc($two)
        [IO.File]::WriteAllText($two, 'other')
        (Invoke-CriuRestore $program.Images -FilePolicy @{ '*/two' = 'Saved' }).Id | Should -Be $program.Id
        Assert-GoesOn $program
        [IO.File]::ReadAllText($two) | Should -Be ("second`n" * 1000)
        [IO.File]::GetLastWriteTimeUtc($two) | Should -Be $time
        @([IO.Directory]::GetFiles($program.Folder, '*.criups-*')) | Should -HaveCount 0
    }

    It 'come back where they are gone' {
        [IO.File]::Delete("$($program.Folder)/two")
        & $criu restore -d -D $program.Images --file-policy '*=saved' 2>$null
        # There is no copy of the other file.
        $LASTEXITCODE | Should -Be 1
        [IO.File]::Exists("$($program.Folder)/two") | Should -BeFalse
        & $criu restore -d -D $program.Images --file-policy '*/two=saved'
        $LASTEXITCODE | Should -Be 0
        [IO.File]::ReadAllText("$($program.Folder)/two") | Should -Be ("second`n" * 1000)
        Assert-GoesOn $program
    }

    It 'are as they were when the restore fails later' {
        $two = "$($program.Folder)/two"
        [IO.File]::WriteAllText($two, 'other')
        $starter = "echo $($program.Id - 1) >/proc/sys/kernel/ns_last_pid; sleep 100 >/dev/null 2>&1 & echo `$!"
        $taken = [int](& sh -c $starter)
        if ($taken -eq $program.Id) {
            try {
                $null = Invoke-CriuRestore $program.Images -FilePolicy @{ '*/two' = 'Saved' } -ErrorVariable problem -ErrorAction SilentlyContinue
                @($problem).Count | Should -Be 1
                [IO.File]::ReadAllText($two) | Should -Be 'other'
                @([IO.Directory]::GetFiles($program.Folder, '*.criups-*')) | Should -HaveCount 0
            }
            finally {
                & kill -KILL $taken
            }
        }
    }

    It 'have moved' {
        $moved = "$($program.Folder).moved"
        [IO.Directory]::Move($program.Folder, $moved)
        $images = "$moved/images"
        $null = Invoke-CriuRestore $images -ErrorVariable problem -ErrorAction SilentlyContinue
        @($problem[0].TargetObject).Count | Should -BeGreaterThan 2
        (Invoke-CriuRestore $images -PathMap @{ $program.Folder = $moved }).Id | Should -Be $program.Id
        $program.Folder = $moved
        Get-Target $program 'one' | Should -Be "$moved/one"
        Get-Target $program 'count' | Should -Be "$moved/count"
        $from = Get-Count $program
        Wait-Until 'it counts on in the moved file' { (Get-Count $program) -gt $from + 2 }
    }
}

Describe 'Open files that cannot be saved' {
    BeforeEach {
        # Two sockets of IPv4.
        $program = Start-Counter 'socket(S, 2, 2, 0); socket(T, 2, 1, 0)'
    }

    AfterEach {
        Stop-Program $program
    }

    It 'stop the dump, and the remedy names the choice' {
        $refusals = @(Invoke-CriuDump $program.Id $program.Images -WhatIf)
        $refusals | Should -HaveCount 2
        $refusals[0].Remedy | Should -Match '-UnsupportedFile'
    }

    It 'are closed' {
        $result = Invoke-CriuDump $program.Id $program.Images -UnsupportedFile Close -WarningVariable warned -WarningAction SilentlyContinue
        $result.ReplacedFiles | Should -HaveCount 2
        $result.ReplacedFiles[0].Subject | Should -Match 'fd \d+ -> socket:'
        @($warned) | Should -HaveCount 2
        [string]$warned[0] | Should -Match 'will be closed'
        (Invoke-CriuRestore $program.Images).Id | Should -Be $program.Id
        $program.Belongings = @($program.Belongings.Split("`n") | Where-Object { $_ -notmatch 'socket:' }) -join "`n"
        Assert-GoesOn $program
    }

    It 'are replaced by /dev/null' {
        & $criu dump -t $program.Id -D ([IO.Directory]::CreateDirectory($program.Images).FullName) --unsupported-files null 2>$null
        $LASTEXITCODE | Should -Be 0
        (Invoke-CriuRestore $program.Images).Id | Should -Be $program.Id
        $program.Belongings = @($program.Belongings.Split("`n") | ForEach-Object { $_ -replace 'socket:\[\d+\]', '/dev/null' }) -join "`n"
        Assert-GoesOn $program
    }
}

Describe 'A number that is not allowed here' {
    It 'is named with the limit before anything is started' {
        $program = Start-Counter 'use POSIX; POSIX::dup2(0, 700)'
        try {
            $null = Invoke-CriuDump $program.Id $program.Images
            $said = (& prlimit --nofile=300:300 $criu restore -d -D $program.Images 2>&1) -join "`n"
            $LASTEXITCODE | Should -Be 1
            $said | Should -Match 'had descriptor 700, but no more than 300 are allowed here'
            $said | Should -Match 'ulimit -n'
            $null = Invoke-CriuRestore $program.Images
            Assert-GoesOn $program
        }
        finally {
            Stop-Program $program
        }
    }
}
