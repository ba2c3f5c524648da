BeforeAll {
    . "$PSScriptRoot/Program.ps1"

    function Copy-Images {
        param([string] $From, [string] $To)
        $null = [IO.Directory]::CreateDirectory($To)
        foreach ($file in [IO.Directory]::GetFiles($From)) {
            [IO.File]::Copy($file, [IO.Path]::Combine($To, [IO.Path]::GetFileName($file)))
        }
    }

    function Get-OpenFiles {
        @([IO.Directory]::GetFiles('/proc/self/fd') | ForEach-Object { [IO.FileInfo]::new($_).LinkTarget } | Where-Object { $_ -match 'criups-program' })
    }
}

Describe 'Invoke-CriuRestore' {
    BeforeEach {
        $program = Start-Counter
        $dump = Invoke-CriuDump $program.Id $program.Images
    }

    AfterEach { Stop-Program $program }

    It 'brings the program back, and tells so' {
        $count = Get-Count $program
        $result = Invoke-CriuRestore -Path $program.Images
        @($result) | Should -HaveCount 1
        $result.GetType().FullName | Should -Be 'CriuPS.Engine.Restore.RestoreResult'
        $result.Id | Should -BeExactly $program.Id
        $result.Path | Should -BeExactly $program.Images
        $result.Processes | Should -Be 1
        $result.Threads | Should -Be 1
        $result.Pages | Should -BeGreaterThan 0
        $result.Pages | Should -BeLessOrEqual $dump.Pages
        $result.Duration | Should -BeOfType ([TimeSpan])
        Assert-GoesOn $program -From $count
        (Get-CriuProcessTree $program.Id).ParentId | Should -Not -Be $PID
    }

    It 'takes what Invoke-CriuDump gives, and a path' {
        ($dump | Invoke-CriuRestore).Id | Should -Be $program.Id
        (Invoke-CriuDump $program.Id $program.Images -Force).Id | Should -Be $program.Id
        ($program.Images | Invoke-CriuRestore).Id | Should -Be $program.Id
        Assert-GoesOn $program
    }

    It 'restores as often as one likes, and leaves the images alone' {
        $before = @(Get-Digest $program.Images)
        foreach ($round in 1..2) {
            $null = Invoke-CriuRestore $program.Images
            Assert-GoesOn $program
            & kill -KILL $program.Id
            Wait-Until 'the program has ended' { Test-Ended $program.Id }
        }

        @(Get-Digest $program.Images) | Should -Be $before
    }

    It 'does nothing with -WhatIf, and asks with -Confirm' {
        @(Invoke-CriuRestore $program.Images -WhatIf) | Should -HaveCount 0
        $null = Invoke-Shell "Invoke-CriuRestore $($program.Images) -Confirm" -Answers "n`n"
        Test-Ended $program.Id | Should -BeTrue
        (Invoke-Shell "Invoke-CriuRestore $($program.Images) -Confirm" -Answers "y`n").ExitCode | Should -Be 0
        Assert-GoesOn $program
    }

    It 'waits for the end of the program with -Wait, and lives on after the shell' {
        $start = [Diagnostics.ProcessStartInfo]::new([IO.Path]::GetFullPath("$PSScriptRoot/../../criups"))
        foreach ($argument in '-Command', "Invoke-CriuRestore $($program.Images) -Wait") { $start.ArgumentList.Add($argument) }
        $start.RedirectStandardOutput = $true
        $shell = [Diagnostics.Process]::Start($start)
        Wait-Until 'the program is back' { -not (Test-Ended $program.Id) }
        Assert-GoesOn $program
        $shell.HasExited | Should -BeFalse
        & kill -TERM $program.Id
        $shell.WaitForExit(60000) | Should -BeTrue
        $shell.ExitCode | Should -Be 0
        $shell.Dispose()
    }

    It 'ends only the waiting when it is stopped' {
        $state = [Management.Automation.Runspaces.InitialSessionState]::CreateDefault2()
        $state.ImportPSModule([string[]] @([IO.Path]::Combine((Get-Command Invoke-CriuDump).Module.ModuleBase, 'CriuPS.psd1')))
        $shell = [PowerShell]::Create($state)
        try {
            $null = $shell.AddCommand('Invoke-CriuRestore').AddParameter('Path', $program.Images).AddParameter('Wait')
            $running = $shell.BeginInvoke()
            Wait-Until 'the program is back' { -not (Test-Ended $program.Id) }
            Assert-GoesOn $program
            $running.IsCompleted | Should -BeFalse
            $shell.Stop()
            [string]$shell.InvocationStateInfo.State | Should -Be 'Stopped'
            Assert-GoesOn $program
        }
        finally {
            $shell.Dispose()
        }
    }

    It 'has a view' {
        $text = (Invoke-Shell "Invoke-CriuRestore $($program.Images)").Text
        @($text | Where-Object { $_ -match '^ *Id +Processes +Threads +Pages +Total\(ms\) +Path' }) | Should -HaveCount 1
        @($text | Where-Object { $_ -match "^ *$($program.Id) +1 +1 +\d+ +\d+\.\d +$($program.Images)" }) | Should -HaveCount 1
        Assert-GoesOn $program
    }
}

Describe 'Invoke-CriuRestore of a bad image set' {
    BeforeAll {
        $program = Start-Counter 'use POSIX; open(D, ">", "$ARGV[0]/data"); syswrite(D, "x" x 100)'
        $null = Invoke-CriuDump $program.Id $program.Images
        $id = $program.Id

        # Nothing has been started, nothing is held open, and the set is what it was.
        function Assert-Refused {
            param([string] $Id, [string] $Category, [string] $Message)
            $before = @(Get-Digest $set)
            $result = @(Invoke-CriuRestore $set -ErrorVariable problem -ErrorAction SilentlyContinue)
            $result | Should -HaveCount 0
            @($problem) | Should -HaveCount 1
            $problem[0].FullyQualifiedErrorId | Should -Be "$Id,CriuPS.Commands.InvokeCriuRestoreCommand"
            [string]$problem[0].CategoryInfo.Category | Should -Be $Category
            $problem[0].TargetObject | Should -Not -BeNullOrEmpty
            $problem[0].Exception.Message | Should -Match $Message
            Test-Ended $program.Id | Should -BeTrue
            @(Get-Digest $set) | Should -Be $before
            Get-OpenFiles | Should -HaveCount 0
        }
    }

    AfterAll { Stop-Program $program }

    BeforeEach {
        $set = "$($program.Folder)/set"
        Copy-Images $program.Images $set
    }

    AfterEach { [IO.Directory]::Delete($set, $true) }

    It 'names a file that is missing: <_>' -ForEach 'inventory', 'core-ID', 'mm-ID', 'fs-ID', 'ids-ID', 'pages-1' {
        $file = "$($_.Replace('ID', $id)).img"
        [IO.File]::Delete("$set/$file")
        Assert-Refused 'MissingImage' 'InvalidData' ([regex]::Escape($file))
    }

    It 'names a file that has too little: <_>' -ForEach 'pstree', 'files' {
        [IO.File]::Delete("$set/$_.img")
        Assert-Refused 'MalformedEntry' 'InvalidData' "$_\.img"
    }

    It 'names a file that is cut: <_>' -ForEach 'inventory', 'pstree', 'core-ID', 'mm-ID', 'fs-ID', 'files', 'pagemap-ID', 'ids-ID' {
        $file = "$($_.Replace('ID', $id)).img"
        $bytes = [IO.File]::ReadAllBytes("$set/$file")
        [IO.File]::WriteAllBytes("$set/$file", $bytes[0..($bytes.Length - 2)])
        Assert-Refused 'TruncatedImage' 'InvalidData' "$([regex]::Escape($file)).*\d"
    }

    It 'names a file with a wrong magic: <_>' -ForEach 'inventory', 'pstree', 'core-ID', 'mm-ID', 'pagemap-ID' {
        $file = "$($_.Replace('ID', $id)).img"
        $bytes = [IO.File]::ReadAllBytes("$set/$file")
        # The inventory has one magic number, all others have two.
        $at = $_ -eq 'inventory' ? 1 : 5
        $bytes[$at] = $bytes[$at] -bxor 255
        [IO.File]::WriteAllBytes("$set/$file", $bytes)
        Assert-Refused 'BadMagic' 'InvalidData' ([regex]::Escape($file))
    }

    It 'names a pages file that is too short' {
        $stream = [IO.File]::OpenWrite("$set/pages-1.img")
        $stream.SetLength($stream.Length - 4096)
        $stream.Dispose()
        Assert-Refused 'TruncatedImage' 'InvalidData' 'pages-1\.img'
    }

    It 'names a directory that is not there, and one without images' {
        $null = Invoke-CriuRestore "$set/none" -ErrorVariable problem -ErrorAction SilentlyContinue
        [string]$problem[0].CategoryInfo.Category | Should -Be 'ObjectNotFound'
        $problem[0].TargetObject | Should -Match 'set/none$'
        $null = [IO.Directory]::CreateDirectory("$set/empty")
        $null = Invoke-CriuRestore "$set/empty" -ErrorVariable problem -ErrorAction SilentlyContinue
        $problem[0].FullyQualifiedErrorId | Should -Be 'MissingImage,CriuPS.Commands.InvokeCriuRestoreCommand'
        $problem[0].Exception.Message | Should -Match 'inventory\.img'
    }

    It 'names an open file that has become <What>' -ForEach @(
        @{ What = 'longer'; Change = { [IO.File]::AppendAllText($args[0], 'y') }; Message = '101 bytes, but had 100' }
        @{ What = 'a directory'; Change = { [IO.File]::Delete($args[0]); $null = [IO.Directory]::CreateDirectory($args[0]) }; Message = 'another kind' }
        @{ What = 'nothing'; Change = { [IO.File]::Delete($args[0]) }; Message = 'ENOENT' }
    ) {
        $data = "$($program.Folder)/data"
        & $Change $data
        Assert-Refused 'FileChanged' 'InvalidData' $Message
        if ([IO.Directory]::Exists($data)) { [IO.Directory]::Delete($data) }
        [IO.File]::WriteAllText($data, 'x' * 100)
    }

    It 'is none when everything is in its place' {
        (Invoke-CriuRestore $set).Id | Should -Be $program.Id
        Assert-GoesOn $program
        & kill -KILL $program.Id
        Wait-Until 'the program has ended' { Test-Ended $program.Id }
    }
}

Describe 'Invoke-CriuRestore where the world has changed' {
    It 'does not take a process id from one who has it' {
        $program = Start-Counter
        try {
            $null = Invoke-CriuDump $program.Id $program.Images -LeaveRunning
            $before = @(Get-Digest $program.Images)
            $null = Invoke-CriuRestore $program.Images -ErrorVariable problem -ErrorAction SilentlyContinue
            @($problem) | Should -HaveCount 1
            $problem[0].FullyQualifiedErrorId | Should -Be 'PidInUse,CriuPS.Commands.InvokeCriuRestoreCommand'
            [string]$problem[0].CategoryInfo.Category | Should -Be 'ResourceExists'
            $problem[0].Exception.Message | Should -Match "$($program.Id).*perl"
            $problem[0].ErrorDetails.RecommendedAction | Should -Not -BeNullOrEmpty
            @(Get-Digest $program.Images) | Should -Be $before
            Assert-GoesOn $program
        }
        finally {
            Stop-Program $program
        }
    }

    It 'does not start a program whose file is <What>' -ForEach @(
        @{ What = 'another one'; Replacement = '/bin/true' }
        @{ What = 'gone'; Replacement = $null }
    ) {
        $folder = [IO.Directory]::CreateTempSubdirectory('criups-program-').FullName
        [IO.File]::Copy('/bin/sleep', "$folder/mysleep")
        $program = Start-Program "$folder/mysleep", '600' -Folder $folder
        try {
            Wait-Until 'the program runs' { [IO.FileInfo]::new("/proc/$($program.Id)/exe").LinkTarget -eq "$folder/mysleep" }
            $null = Invoke-CriuDump $program.Id $program.Images
            [IO.File]::Delete("$folder/mysleep")
            if ($Replacement) { [IO.File]::Copy($Replacement, "$folder/mysleep") }
            $null = Invoke-CriuRestore $program.Images -ErrorVariable problem -ErrorAction SilentlyContinue
            @($problem) | Should -HaveCount 1
            $problem[0].FullyQualifiedErrorId | Should -Be 'FileChanged,CriuPS.Commands.InvokeCriuRestoreCommand'
            $problem[0].TargetObject | Should -Be "$folder/mysleep"
            $problem[0].ErrorDetails.RecommendedAction | Should -Match 'put the file back'
            Test-Ended $program.Id | Should -BeTrue
            [IO.File]::Delete("$folder/mysleep")
            [IO.File]::Copy('/bin/sleep', "$folder/mysleep")
            (Invoke-CriuRestore $program.Images).Id | Should -Be $program.Id
        }
        finally {
            Stop-Program $program
        }
    }
}

Describe 'Invoke-CriuRestore with descriptors of the shell' {
    BeforeEach {
        $program = Start-Counter
        $null = Invoke-CriuDump $program.Id $program.Images
        $count = "$($program.Folder)/count"
        $at = Get-Count $program
    }

    AfterEach { Stop-Program $program }

    It 'puts them in the places of saved files' {
        $other = [IO.File]::Open("$($program.Folder)/other", 'CreateNew', 'ReadWrite', 'ReadWrite')
        try {
            (Invoke-CriuRestore $program.Images -InheritDescriptor @{ [int]$other.SafeFileHandle.DangerousGetHandle() = $count }).Id | Should -Be $program.Id
            Wait-Until 'it counts in the other file' { $other.Length -gt 0 }
            @([IO.Directory]::GetFiles("/proc/$($program.Id)/fd") | ForEach-Object { [IO.FileInfo]::new($_).LinkTarget }) |
                Should -Contain "$($program.Folder)/other"
            Get-Count $program | Should -Be $at
        }
        finally {
            $other.Dispose()
        }
    }

    It 'warns of one that no saved file is called by' {
        $null = Invoke-CriuRestore $program.Images -InheritDescriptor @{ 0 = '/no/such/file' } -WarningVariable warned -WarningAction SilentlyContinue
        @($warned) | Should -HaveCount 1
        [string]$warned[0] | Should -Match '/no/such/file.*fd 0'
        Assert-GoesOn $program
    }

    It 'starts nothing with one that is not open' {
        $null = Invoke-CriuRestore $program.Images -InheritDescriptor @{ 999 = $count } -ErrorVariable problem -ErrorAction SilentlyContinue
        $problem[0].FullyQualifiedErrorId | Should -Be 'BadInheritedDescriptor,CriuPS.Commands.InvokeCriuRestoreCommand'
        $problem[0].Exception.Message | Should -Match 'fd 999'
        Test-Ended $program.Id | Should -BeTrue
    }
}

Describe 'The help of Invoke-CriuRestore' {
    It 'describes it, with examples' {
        $help = Get-Help Invoke-CriuRestore -Full
        $help.Synopsis | Should -Match 'back'
        @($help.examples.example).Count | Should -BeGreaterThan 1
        foreach ($name in 'Path', 'Wait', 'ShellJob') {
            $parameter = @($help.parameters.parameter | Where-Object { $_.name -eq $name })
            $parameter[0].description[0].Text | Should -Not -BeNullOrEmpty
        }
    }

    It 'has an example that works: what a dump gives goes into a restore' {
        $program = Start-Counter
        try {
            (Invoke-CriuDump -Id $program.Id -Path $program.Images | Invoke-CriuRestore).Id | Should -Be $program.Id
            Assert-GoesOn $program
        }
        finally {
            Stop-Program $program
        }
    }
}
