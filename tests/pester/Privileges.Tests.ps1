BeforeAll {
    $criups = "$PSScriptRoot/../../criups"
    $folder = [IO.Directory]::CreateTempSubdirectory('criups-test-').FullName
    [IO.File]::SetUnixFileMode($folder, [IO.UnixFileMode]511)

    # Runs commands as a user with these capabilities and no others.
    function Invoke-AsUser {
        param([string] $Capabilities, [string] $Command)
        $set = $Capabilities ? "-all,$Capabilities" : '-all'
        $as = '--reuid', '12345', '--regid', '12345', '--clear-groups', "--inh-caps=$set", "--ambient-caps=$set"
        & setpriv @as $criups -Command $Command 2>&1 | ForEach-Object { [string]$_ }
    }

    # A process of that user with no descriptors but its own, the leader of its session; it belongs to init.
    function Start-Sleeper {
        $pidFile = "$folder/pid"
        [IO.File]::Delete($pidFile)
        $text = 'for fd in $(ls /proc/self/fd); do [ $fd -gt 2 ] && eval "exec $fd>&-"; done; ' +
            "echo `$`$ >$pidFile.new; mv $pidFile.new $pidFile; exec sleep 600 </dev/null >/dev/null 2>&1"
        & setsid --fork setpriv --reuid 12345 --regid 12345 --clear-groups --inh-caps=-all bash -c $text
        Wait-Until 'the program has told its number' { [IO.File]::Exists($pidFile) }
        $id = [int][IO.File]::ReadAllText($pidFile)
        Wait-Until 'the program runs' { [IO.File]::ReadAllText("/proc/$id/comm").Trim() -eq 'sleep' }
        $id
    }

    function Wait-Until {
        param([string] $What, [scriptblock] $Condition)
        $watch = [Diagnostics.Stopwatch]::StartNew()
        while (-not (& $Condition)) {
            if ($watch.Elapsed.TotalSeconds -gt 60) {
                throw "after a minute still not true: $What"
            }

            [Threading.Thread]::Sleep(5)
        }
    }
}

AfterAll {
    [IO.Directory]::Delete($folder, $true)
}

Describe 'Another user than root' {
    BeforeEach {
        $sleeper = Start-Sleeper
    }

    AfterEach {
        & kill -KILL $sleeper 2>$null
    }

    It 'is told what is missing, before anything is touched' {
        $said = @(Invoke-AsUser '' "Invoke-CriuDump -Id $sleeper -Path $folder/none") -join "`n"
        $said | Should -Match 'map_files'
        $said | Should -Match 'CAP_CHECKPOINT_RESTORE'
        [IO.Directory]::Exists("$folder/none") | Should -BeFalse
        [IO.File]::ReadAllText("/proc/$sleeper/stat") | Should -Match '\) S '
    }

    It 'dumps and restores a process of its own with three capabilities' {
        $command = "`$null = Invoke-CriuDump -Id $sleeper -Path $folder/own; (Invoke-CriuRestore $folder/own).Id"
        @(Invoke-AsUser '+checkpoint_restore,+setgid,+setpcap' $command) -join ' ' | Should -Be "$sleeper"
        [IO.FileInfo]::new("/proc/$sleeper/exe").LinkTarget | Should -Match 'sleep'
    }

    It 'is told what a restore lacks, and nothing is left of it' {
        $command = "`$null = Invoke-CriuDump -Id $sleeper -Path $folder/less"
        Invoke-AsUser '+checkpoint_restore,+setgid,+setpcap' $command | Should -BeNullOrEmpty
        $said = @(Invoke-AsUser '' "Invoke-CriuRestore $folder/less") -join "`n"
        $said | Should -Match 'clone3_set_tid'
        $said | Should -Match 'CAP_CHECKPOINT_RESTORE'
        [IO.Directory]::Exists("/proc/$sleeper") | Should -BeFalse
        (Invoke-CriuRestore $folder/less).Id | Should -Be $sleeper
    }
}
