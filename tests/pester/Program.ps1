# Programs to checkpoint, for the tests of cmdlets: dot-sourced in their BeforeAll.

function Wait-Until {
    param([string] $What, [scriptblock] $Condition, [int] $Seconds = 60)
    $watch = [Diagnostics.Stopwatch]::StartNew()
    while (-not (& $Condition)) {
        if ($watch.Elapsed.TotalSeconds -gt $Seconds) {
            throw "after $Seconds seconds still not true: $What"
        }

        [Threading.Thread]::Sleep(5)
    }
}

# A shell command line that starts a program as a service has it: no descriptors but its own.
function Get-StartText {
    param([string] $Folder, [string[]] $Command)
    $words = @($Command | ForEach-Object { "'" + $_.Replace("'", "'\''") + "'" }) -join ' '
    'for fd in $(ls /proc/self/fd); do [ $fd -gt 2 ] && eval "exec $fd>&-"; done; ' +
    "echo `$`$ >$Folder/pid.new; mv $Folder/pid.new $Folder/pid; exec $words </dev/null >>$Folder/log 2>&1"
}

# Starts a program that belongs to init and is its session's leader. What it is told of its folder is the first argument after its own.
function Start-Program {
    param([string[]] $Command, [string] $Folder = [IO.Directory]::CreateTempSubdirectory('criups-program-').FullName, [int] $User)
    [IO.File]::SetUnixFileMode($Folder, [IO.UnixFileMode]511)
    $as = $User ? @('setpriv', "--reuid=$User", "--regid=$User", '--clear-groups') : @()
    $starter = [Diagnostics.Process]::Start('setsid', [string[]] (@('--fork') + $as + 'bash', '-c', (Get-StartText $Folder $Command)))
    $starter.WaitForExit()
    $starter.Dispose()
    Wait-Until "$Command has started" { [IO.File]::Exists("$Folder/pid") }
    [pscustomobject]@{ Id = [int][IO.File]::ReadAllText("$Folder/pid"); Folder = $Folder; Images = "$Folder/images"; Belongings = '' }
}

# A Perl program that counts in a file of constant size, once in ten milliseconds; what it does before that can be given.
function Start-Counter {
    param([string] $Before = '', [int] $User, [string] $Folder = [IO.Directory]::CreateTempSubdirectory('criups-program-').FullName)
    $code = $Before + '; open(C, ">", "$ARGV[0]/count") or die; for ($i = 1;; $i++) { sysseek(C, 0, 0); syswrite(C, sprintf("%12d\n", $i)); ' +
        'select(undef, undef, undef, 0.01) }'
    $program = Start-Program 'perl', '-e', $code, $Folder -User $User -Folder $Folder
    Wait-Until 'the program counts' { (Get-Count $program) -gt 0 }
    $program.Belongings = @(Get-Belongings $program) -join "`n"
    $program
}

function Get-Count {
    param($Program)
    $text = [IO.File]::Exists("$($Program.Folder)/count") ? [IO.File]::ReadAllText("$($Program.Folder)/count") : ''
    $text.Length -eq 13 ? [int]$text : 0
}

# What a process has open and mapped; the stack may grow.
function Get-Belongings {
    param($Program)
    [IO.Directory]::GetFiles("/proc/$($Program.Id)/fd") | ForEach-Object { "$_ -> $([IO.FileInfo]::new($_).LinkTarget)" }
    [IO.File]::ReadAllLines("/proc/$($Program.Id)/maps") | Where-Object { -not $_.EndsWith('[stack]') }
}

# Runs, counts on, nobody traces it, and it has what it had.
function Assert-GoesOn {
    param($Program, [int] $From = (Get-Count $Program))
    Wait-Until "process $($Program.Id) counts on from $From" { (Get-Count $Program) -gt $From + 2 }
    Get-StatusLine $Program.Id 'TracerPid' | Should -Be '0'
    Get-StatusLine $Program.Id 'State' | Should -Match '^[RSD] '
    (@(Get-Belongings $Program) -join "`n") | Should -Be $Program.Belongings
}

function Get-StatusLine {
    param([int] $Id, [string] $Key)
    foreach ($line in [IO.File]::ReadAllLines("/proc/$Id/status")) {
        if ($line.StartsWith("${Key}:")) {
            return $line.Substring($Key.Length + 1).Trim()
        }
    }
}

# A process that is dead and not reaped yet has ended too.
function Test-Ended {
    param([int] $Id)
    try { (Get-StatusLine $Id 'State').StartsWith('Z') } catch [IO.IOException] { $true }
}

function Stop-Program {
    param($Program)
    & kill -KILL $Program.Id 2>$null
    Wait-Until "process $($Program.Id) ends" { Test-Ended $Program.Id }
    [IO.Directory]::Delete($Program.Folder, $true)
}

# Names and contents of a directory's files, one line each.
function Get-Digest {
    param([string] $Folder)
    foreach ($file in [IO.Directory]::GetFiles($Folder) | ForEach-Object { [IO.FileInfo]::new($_) }) {
        "$($file.Name) $([Convert]::ToHexString([Security.Cryptography.SHA256]::HashData([IO.File]::ReadAllBytes($file.FullName))))"
    }
}

# Runs a command in a shell of its own and answers its questions; gives its exit code and everything it said.
function Invoke-Shell {
    param([string] $Command, [string] $Answers = '')
    $start = [Diagnostics.ProcessStartInfo]::new([IO.Path]::GetFullPath("$PSScriptRoot/../../criups"))
    $start.ArgumentList.Add('-Command')
    $start.ArgumentList.Add($Command)
    $start.RedirectStandardInput = $start.RedirectStandardOutput = $true
    $shell = [Diagnostics.Process]::Start($start)
    $shell.StandardInput.Write($Answers)
    $shell.StandardInput.Close()
    $text = $shell.StandardOutput.ReadToEnd()
    $shell.WaitForExit()
    [pscustomobject]@{ ExitCode = $shell.ExitCode; Text = $text.Split("`n") }
    $shell.Dispose()
}
