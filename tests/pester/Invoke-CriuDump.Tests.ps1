BeforeAll {
    . "$PSScriptRoot/Program.ps1"

    function Assert-Record {
        param($Record, [string] $Id, [string] $Category)
        @($Record) | Should -HaveCount 1
        $Record[0].FullyQualifiedErrorId | Should -Be "$Id,CriuPS.Commands.InvokeCriuDumpCommand"
        [string]$Record[0].CategoryInfo.Category | Should -Be $Category
        $Record[0].TargetObject | Should -Not -BeNullOrEmpty
    }
}

Describe 'Invoke-CriuDump' {
    BeforeEach { $program = Start-Counter }
    AfterEach { Stop-Program $program }

    It 'ends the program and tells what it did' {
        $result = Invoke-CriuDump -Id $program.Id -Path $program.Images
        @($result) | Should -HaveCount 1
        $result.GetType().FullName | Should -Be 'CriuPS.Engine.Dump.DumpResult'
        $result.Id | Should -BeExactly $program.Id
        $result.Path | Should -BeExactly $program.Images
        $result.Processes | Should -Be 1
        $result.Threads | Should -Be 1
        $result.Pages | Should -BeGreaterThan 10
        $result.Bytes | Should -BeGreaterThan (4096 * $result.Pages)
        $result.FreezeTime | Should -BeOfType ([TimeSpan])
        $result.Duration | Should -BeGreaterThan $result.FreezeTime
        [string]$result.FinalState | Should -Be 'Kill'
        Test-Ended $program.Id | Should -BeTrue
        [IO.File]::Exists("$($program.Images)/inventory.img") | Should -BeTrue
        $bytes = 0
        foreach ($file in [IO.Directory]::GetFiles($program.Images)) {
            [int][IO.File]::GetUnixFileMode($file) | Should -Be ([Convert]::ToInt32('600', 8))
            $bytes += [IO.FileInfo]::new($file).Length
        }

        $result.Bytes | Should -Be $bytes
    }

    It 'takes a process as Get-Process gives it' {
        $result = [Diagnostics.Process]::GetProcessById($program.Id) | Invoke-CriuDump -Path $program.Images
        $result.Id | Should -Be $program.Id
        Test-Ended $program.Id | Should -BeTrue
    }

    It 'takes what has an Id, like Get-CriuProcessTree and its own results' {
        $first = Get-CriuProcessTree $program.Id | Invoke-CriuDump -Path $program.Images -LeaveRunning
        $second = $first | Invoke-CriuDump -Path "$($program.Folder)/second"
        $second.Id | Should -Be $program.Id
        $second.Path | Should -Be "$($program.Folder)/second"
    }

    It 'takes id and path by position, and a path of any drive of the file system' {
        $null = Invoke-CriuDump $program.Id 'TestDrive:/by-position' -LeaveRunning
        [IO.File]::Exists("$TestDrive/by-position/inventory.img") | Should -BeTrue
    }

    It 'takes a path relative to the current location' {
        $null = $ExecutionContext.SessionState.Path.PushCurrentLocation('here')
        try {
            $null = $ExecutionContext.SessionState.Path.SetLocation($program.Folder)
            (Invoke-CriuDump $program.Id 'images' -LeaveRunning).Path | Should -Be $program.Images
        }
        finally {
            $null = $ExecutionContext.SessionState.Path.PopLocation('here')
        }
    }

    It 'lets the program run on with -LeaveRunning' {
        $before = Get-Count $program
        $result = Invoke-CriuDump $program.Id $program.Images -LeaveRunning
        [string]$result.FinalState | Should -Be 'Run'
        Assert-GoesOn $program -From $before
    }

    It 'leaves the program stopped with -LeaveStopped' {
        [string](Invoke-CriuDump $program.Id $program.Images -LeaveStopped).FinalState | Should -Be 'Stop'
        Wait-Until 'the program is stopped' { (Get-StatusLine $program.Id 'State').StartsWith('T ') }
        Get-StatusLine $program.Id 'TracerPid' | Should -Be '0'
        & kill -CONT $program.Id
        Assert-GoesOn $program
    }

    It 'knows that -LeaveRunning and -LeaveStopped contradict each other' {
        { Invoke-CriuDump $program.Id $program.Images -LeaveRunning -LeaveStopped } |
            Should -Throw -ErrorId 'LeaveRunningOrStopped,CriuPS.Commands.InvokeCriuDumpCommand'
        Assert-GoesOn $program
    }

    It 'says with -Verbose what it does, and shows no word without' {
        $all = @(Invoke-CriuDump $program.Id $program.Images -LeaveRunning -Verbose 4>&1)
        @($all | Where-Object { $_ -is [Management.Automation.VerboseRecord] -and $_.Message -match "stopping process $($program.Id)" }) |
            Should -HaveCount 1
        @(Invoke-CriuDump $program.Id "$($program.Folder)/other" -LeaveRunning *>&1) | Should -HaveCount 1
    }

    It 'does nothing with -WhatIf, and has nothing to say of a program that it could dump' {
        @(Invoke-CriuDump $program.Id $program.Images -WhatIf) | Should -HaveCount 0
        [IO.Directory]::Exists($program.Images) | Should -BeFalse
        Assert-GoesOn $program
    }

    It 'asks with -Confirm and goes by the answer' {
        $call = "Invoke-CriuDump $($program.Id) $($program.Images) -LeaveRunning -Confirm"
        $null = Invoke-Shell $call -Answers "n`n"
        [IO.Directory]::Exists($program.Images) | Should -BeFalse
        (Invoke-Shell $call -Answers "y`n").ExitCode | Should -Be 0
        [IO.File]::Exists("$($program.Images)/inventory.img") | Should -BeTrue
        Assert-GoesOn $program
    }

    It 'takes one directory for one tree' {
        $other = Start-Counter
        try {
            $results = @($program, $other | Invoke-CriuDump -Path $program.Images -LeaveRunning -ErrorVariable problem -ErrorAction SilentlyContinue)
            $results | Should -HaveCount 1
            $results[0].Id | Should -Be $program.Id
            Assert-Record $problem 'PathUsedTwice' 'InvalidArgument'
            Assert-GoesOn $other
        }
        finally {
            Stop-Program $other
        }
    }

    Context 'where an image set is already' {
        BeforeEach {
            $null = Invoke-CriuDump $program.Id $program.Images -LeaveRunning
            $before = @(Get-Digest $program.Images)
        }

        It 'leaves it alone' {
            $null = Invoke-CriuDump $program.Id $program.Images -ErrorVariable problem -ErrorAction SilentlyContinue
            Assert-Record $problem 'ImageSetExists' 'ResourceExists'
            $problem[0].TargetObject | Should -Be $program.Images
            $problem[0].ErrorDetails.RecommendedAction | Should -Match '-Force'
            @(Get-Digest $program.Images) | Should -Be $before
            Assert-GoesOn $program
        }

        It 'replaces it with -Force' {
            Assert-GoesOn $program
            [IO.File]::WriteAllText("$($program.Images)/core-99999.img", 'of a process that is gone')
            [IO.File]::WriteAllText("$($program.Images)/notes.txt", 'kept')
            $null = Invoke-CriuDump $program.Id $program.Images -Force
            $after = @(Get-Digest $program.Images)
            @($after | Where-Object { $_ -in $before -and $_.StartsWith('pages-') }) | Should -HaveCount 0
            @([IO.Directory]::GetFiles($program.Images, 'core-*')) | Should -HaveCount 1
            @([IO.Directory]::GetFiles($program.Images, '*.new')) | Should -HaveCount 0
            [IO.File]::Exists("$($program.Images)/notes.txt") | Should -BeTrue
            (Invoke-CriuRestore $program.Images).Id | Should -Be $program.Id
            Assert-GoesOn $program
        }
    }

    Context 'a program in the session of another' {
        BeforeEach {
            $code = 'if (fork) { wait; sleep 1 while 1 } open(P, ">", "$ARGV[0]/job.new"); print P $$; close P; ' +
                'rename "$ARGV[0]/job.new", "$ARGV[0]/job"; sleep 1 while 1'
            $folder = [IO.Directory]::CreateTempSubdirectory('criups-job-').FullName
            $leader = Start-Program 'perl', '-e', $code, $folder -Folder $folder
            Wait-Until 'the job has started' { [IO.File]::Exists("$folder/job") }
            $job = [int][IO.File]::ReadAllText("$folder/job")
        }

        AfterEach {
            & kill -KILL $job 2>$null
            Stop-Program $leader
        }

        It 'needs -ShellJob' {
            $null = Invoke-CriuDump $job "$folder/images" -ErrorVariable problem -ErrorAction SilentlyContinue
            Assert-Record $problem 'Refused' 'NotImplemented'
            $problem[0].ErrorDetails.RecommendedAction | Should -Match '-ShellJob'
            (Invoke-CriuDump $job "$folder/images" -ShellJob).Id | Should -Be $job
            $null = Invoke-CriuRestore "$folder/images" -ErrorVariable problem -ErrorAction SilentlyContinue
            $problem[0].FullyQualifiedErrorId | Should -Be 'ShellJobNeeded,CriuPS.Commands.InvokeCriuRestoreCommand'
            [string]$problem[0].CategoryInfo.Category | Should -Be 'InvalidArgument'
            $problem[0].ErrorDetails.RecommendedAction | Should -Match '-ShellJob'
            (Invoke-CriuRestore "$folder/images" -ShellJob).Id | Should -Be $job
            (Get-CriuProcessTree $job).SessionId | Should -Be (Get-CriuProcessTree $PID)[0].SessionId
        }
    }

    It 'has views for its results and its refusals' {
        $other = Start-Counter 'socket(S, 2, 1, 0)'
        try {
            $text = (Invoke-Shell "Invoke-CriuDump $($program.Id) $($program.Images) -LeaveRunning").Text
            $refusals = (Invoke-Shell "Invoke-CriuDump $($other.Id) /nowhere -WhatIf").Text
        }
        finally {
            Stop-Program $other
        }

        @($text | Where-Object { $_ -match '^ *Id +Processes +Threads +Size\(MiB\) +Freeze\(ms\) +Total\(ms\) +State +Path' }) | Should -HaveCount 1
        @($text | Where-Object { $_ -match "^ *$($program.Id) +1 +1 +\d+\.\d +\d+\.\d +\d+\.\d +Run +$($program.Images)" }) | Should -HaveCount 1
        @($refusals | Where-Object { $_ -match "^Process *: $($other.Id) \(perl\)" }) | Should -HaveCount 1
        @($refusals | Where-Object { $_ -match '^Remedy *: \w' }) | Should -HaveCount 1
    }

    It 'saves deleted files up to -GhostLimit, and gives names with -LinkRemap' {
        $other = Start-Counter ('open(D, ">", "$ARGV[0]/x"); syswrite(D, "x" x 100000); unlink "$ARGV[0]/x"; ' +
            'open(E, ">", "$ARGV[0]/y"); link("$ARGV[0]/y", "$ARGV[0]/z"); unlink "$ARGV[0]/y"')
        try {
            $refusals = Invoke-CriuDump $other.Id $other.Images -GhostLimit 50KB -WhatIf
            $refusals | Should -HaveCount 2
            $refusals[0].Remedy | Should -Match '-GhostLimit'
            $refusals[1].Remedy | Should -Match '-LinkRemap'
            (Invoke-CriuDump $other.Id $other.Images -LinkRemap).Id | Should -Be $other.Id
            (Invoke-CriuRestore $other.Images).Id | Should -Be $other.Id
        }
        finally {
            Stop-Program $other
        }
    }

    It 'has help with examples' {
        $help = Get-Help Invoke-CriuDump -Full
        $help.Synopsis | Should -Match 'image files'
        @($help.examples.example).Count | Should -BeGreaterThan 2
        foreach ($name in 'Id', 'InputObject', 'Path', 'LeaveRunning', 'LeaveStopped', 'ShellJob', 'FileLocks', 'LinkRemap', 'GhostLimit', 'Force') {
            $parameter = @($help.parameters.parameter | Where-Object { $_.name -eq $name })
            $parameter | Should -HaveCount 1
            $parameter[0].description[0].Text | Should -Not -BeNullOrEmpty
        }
    }
}

Describe 'Invoke-CriuDump of what it cannot dump' {
    It 'refuses <What>, names it and touches nothing' -ForEach @(
        @{ What = 'a socket'; Before = 'socket(S, 2, 1, 0)'; Subject = 'fd \d+ .*socket:'; Reasons = 1 }
        @{ What = 'three things at once'; Before = 'socket(S, 2, 1, 0); socket(T, 10, 2, 0); socket(D, 2, 2, 0)'; Subject = 'fd'; Reasons = 3 }
    ) {
        $program = Start-Counter $Before
        try {
            $null = Invoke-CriuDump $program.Id $program.Images -ErrorVariable problem -ErrorAction SilentlyContinue
            Assert-Record $problem 'Refused' 'NotImplemented'
            @($problem[0].TargetObject) | Should -HaveCount $Reasons
            foreach ($refusal in $problem[0].TargetObject) {
                $refusal.GetType().FullName | Should -Be 'CriuPS.Engine.Errors.Refusal'
                $refusal.Pid | Should -Be $program.Id
                $refusal.ProcessName | Should -Be 'perl'
                $refusal.Subject | Should -Match $Subject
                $refusal.Reason | Should -Not -BeNullOrEmpty
                $refusal.Remedy | Should -Not -BeNullOrEmpty
                $problem[0].ErrorDetails.Message | Should -Match ([regex]::Escape($refusal.Subject))
                $problem[0].ErrorDetails.RecommendedAction | Should -Match ([regex]::Escape($refusal.Remedy))
            }

            [IO.Directory]::Exists($program.Images) | Should -BeFalse
            Assert-GoesOn $program

            $listed = @(Invoke-CriuDump $program.Id $program.Images -WhatIf)
            @($listed | ForEach-Object Subject) | Should -Be @($problem[0].TargetObject | ForEach-Object Subject)
            [IO.Directory]::Exists($program.Images) | Should -BeFalse
            Assert-GoesOn $program
        }
        finally {
            Stop-Program $program
        }
    }

    It 'refuses what another one traces' {
        $program = Start-Counter
        $seize = 'import ctypes, sys, time; print(ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), 0, 0), flush=True); sys.stdin.read()'
        $start = [Diagnostics.ProcessStartInfo]::new('python3')
        foreach ($argument in '-c', $seize, $program.Id) { $start.ArgumentList.Add($argument) }
        $start.RedirectStandardInput = $start.RedirectStandardOutput = $true
        $tracer = [Diagnostics.Process]::Start($start)
        try {
            $tracer.StandardOutput.ReadLine() | Should -Be '0'
            $null = Invoke-CriuDump $program.Id $program.Images -ErrorVariable problem -ErrorAction SilentlyContinue
            Assert-Record $problem 'Refused' 'NotImplemented'
            $problem[0].TargetObject[0].Reason | Should -Match "traced by process $($tracer.Id) \(python3\)"
            [IO.Directory]::Exists($program.Images) | Should -BeFalse
            Get-StatusLine $program.Id 'TracerPid' | Should -Be "$($tracer.Id)"
            $tracer.StandardInput.Close()
            $tracer.WaitForExit()
            Assert-GoesOn $program
        }
        finally {
            $tracer.Dispose()
            Stop-Program $program
        }
    }

    It 'has an error for a process that is gone, and dumps the next one' {
        $program = Start-Counter
        try {
            $gone = [pscustomobject]@{ Id = 2147483647 }
            $results = @($gone, $program | ForEach-Object { $_ | Invoke-CriuDump -Path $program.Images -ErrorVariable +problem -ErrorAction SilentlyContinue })
            Assert-Record $problem 'ProcessGone' 'ObjectNotFound'
            $problem[0].TargetObject | Should -Be 2147483647
            $problem[0].ErrorDetails.RecommendedAction | Should -Not -BeNullOrEmpty
            $results | Should -HaveCount 1
        }
        finally {
            Stop-Program $program
        }
    }

    It 'refuses an id that cannot be one: <_>' -ForEach 0, -1 {
        { Invoke-CriuDump -Id $_ -Path /nowhere } | Should -Throw -ErrorId 'ParameterArgumentValidationError,CriuPS.Commands.InvokeCriuDumpCommand'
    }

    It 'refuses the shell that runs it' {
        $null = Invoke-CriuDump $PID "$TestDrive/self" -ErrorVariable problem -ErrorAction SilentlyContinue
        @($problem[0].TargetObject | Where-Object Reason -EQ 'it is this very process') | Should -HaveCount 1
        [IO.Directory]::Exists("$TestDrive/self") | Should -BeFalse
    }
}

Describe 'Invoke-CriuDump to where it cannot write' {
    BeforeAll {
        $memory = 'my $m = pack("L*", map { $_ * 2654435761 } 1 .. 1000000) x 40'
        $folder = [IO.Directory]::CreateTempSubdirectory('criups-places-').FullName
        $program = Start-Counter $memory
        [IO.File]::WriteAllText("$folder/file", 'in the way')
        foreach ($mount in @{ At = 'small'; Options = 'size=24m' }, @{ At = 'fixed'; Options = 'ro' }) {
            $null = [IO.Directory]::CreateDirectory("$folder/$($mount.At)")
            & mount -t tmpfs -o $mount.Options criups-test "$folder/$($mount.At)"
            if ($LASTEXITCODE -ne 0) { throw "mount of $($mount.At) failed" }
        }
    }

    AfterAll {
        Stop-Program $program
        foreach ($at in 'small', 'fixed') { & umount "$folder/$at" }
        [IO.Directory]::Delete($folder, $true)
    }

    It 'names a <What> and lets the program go on' -ForEach @(
        @{ What = 'file in the way'; At = 'file'; Category = 'ResourceExists|InvalidOperation'; Text = 'ENOTDIR' }
        @{ What = 'directory above that is not there'; At = 'none/images'; Category = 'ObjectNotFound'; Text = 'ENOENT' }
        @{ What = 'file system that is read-only'; At = 'fixed/images'; Category = 'InvalidOperation|PermissionDenied'; Text = 'EROFS' }
        @{ What = 'directory that is read-only'; At = 'fixed'; Category = 'InvalidOperation|PermissionDenied'; Text = 'EROFS' }
    ) {
        $path = "$folder/$At"
        $null = Invoke-CriuDump $program.Id $path -ErrorVariable problem -ErrorAction SilentlyContinue
        @($problem) | Should -HaveCount 1
        $problem[0].FullyQualifiedErrorId | Should -Be 'KernelFailure,CriuPS.Commands.InvokeCriuDumpCommand'
        [string]$problem[0].CategoryInfo.Category | Should -Match "^($Category)$"
        $problem[0].Exception.Message | Should -Match $Text
        $problem[0].Exception.Message | Should -Match ([regex]::Escape($path))
        $problem[0].TargetObject | Should -Match ([regex]::Escape($path))
        Assert-GoesOn $program
    }

    It 'says that the disk is full, leaves nothing there and lets the program go on' {
        $null = Invoke-CriuDump $program.Id "$folder/small/images" -ErrorVariable problem -ErrorAction SilentlyContinue
        @($problem) | Should -HaveCount 1
        $problem[0].FullyQualifiedErrorId | Should -Match ',CriuPS.Commands.InvokeCriuDumpCommand$'
        $problem[0].Exception.Message | Should -Match 'ENOSPC'
        $problem[0].ErrorDetails.RecommendedAction | Should -Match 'make room'
        @([IO.Directory]::GetFileSystemEntries("$folder/small")) | Should -HaveCount 0
        Assert-GoesOn $program
    }

    It 'keeps the old image set when the new one does not fit beside it' {
        $little = Start-Counter
        try {
            $null = Invoke-CriuDump $little.Id "$folder/small/kept"
            $before = @(Get-Digest "$folder/small/kept")
            $null = Invoke-CriuDump $program.Id "$folder/small/kept" -Force -ErrorVariable problem -ErrorAction SilentlyContinue
            $problem[0].Exception.Message | Should -Match 'ENOSPC'
            @(Get-Digest "$folder/small/kept") | Should -Be $before
            Assert-GoesOn $program
            (Invoke-CriuRestore "$folder/small/kept").Id | Should -Be $little.Id
            Assert-GoesOn $little
        }
        finally {
            Stop-Program $little
            if ([IO.Directory]::Exists("$folder/small/kept")) { [IO.Directory]::Delete("$folder/small/kept", $true) }
        }
    }
}

Describe 'Stopping Invoke-CriuDump' {
    BeforeAll {
        # A shell within this one, stopped as Ctrl-C would stop it.
        function New-Shell {
            $state = [Management.Automation.Runspaces.InitialSessionState]::CreateDefault2()
            $module = [IO.Path]::ChangeExtension((Get-Command Invoke-CriuDump).Module.Path, $null)
            $state.ImportPSModule([string[]] @([IO.Path]::Combine([IO.Path]::GetDirectoryName($module), 'CriuPS.psd1')))
            [PowerShell]::Create($state)
        }

        $program = Start-Counter 'my $m = pack("L*", map { $_ * 2654435761 } 1 .. 1000000) x 80'
    }

    AfterAll { Stop-Program $program }

    It 'undoes it while it is at <_>' -ForEach 'Freeze', 'Memory' {
        $stage = $_
        # Where the machine is faster than the one who watches, the dump is complete before it is stopped: then once more.
        for ($stopped = $false; -not $stopped;) {
            $shell = New-Shell
            try {
                $null = $shell.AddCommand('Invoke-CriuDump').AddParameter('Id', $program.Id).AddParameter('Path', $program.Images)
                $null = $shell.AddParameter('LeaveRunning').AddParameter('Force')
                $running = $shell.BeginInvoke()
                Wait-Until "the dump has come to $stage" {
                    $running.IsCompleted -or @($shell.Streams.Progress | Where-Object { $_.StatusDescription.StartsWith($stage) }).Count -gt 0
                }
                $shell.Stop()
                $stopped = -not [IO.Directory]::Exists($program.Images)
                if (-not $stopped) {
                    [IO.File]::Exists("$($program.Images)/inventory.img") | Should -BeTrue
                    [IO.Directory]::Delete($program.Images, $true)
                }

                Assert-GoesOn $program
            }
            finally {
                $shell.Dispose()
            }
        }
    }
}
