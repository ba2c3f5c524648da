<#
.SYNOPSIS
Measures CriuPS and writes bench/results.md. Run by: ./criups build.ps1 -Bench
.DESCRIPTION
With CRIU=/path/of/criu in the environment that program is measured beside ours: every round runs both, in turns the one and the other
first. All figures are medians. The images are in a file system in memory, since a disk's speed is not what is measured here.

Everything runs at real-time priority where that is allowed, so that other work on the machine does not show; and with a file system in
memory on /run, because only there CRIU keeps what it has found out about the kernel.
#>
$ErrorActionPreference = 'Stop'
$root = [IO.Path]::GetDirectoryName($PSScriptRoot)
$other = $env:CRIU
$ours = "$root/out/criu/criu"
$scratch = [IO.Directory]::CreateDirectory("/dev/shm/criups-bench-$PID").FullName
$round = "$scratch/round"
$images = "$scratch/images"
$rows = [Collections.Generic.List[string]]::new()

function Get-Median {
    param([double[]] $Values)
    $sorted = @([Linq.Enumerable]::Order($Values))
    $sorted[[int][Math]::Floor(($sorted.Count - 1) / 2)]
}

# One line of numbers from bench/round.c.
function Invoke-Round {
    param([string[]] $Arguments)
    $line = & $round @Arguments
    if ($LASTEXITCODE -ne 0) {
        throw "round $Arguments ended with exit code $LASTEXITCODE"
    }

    [double[]]@($line)[-1].Split(' ')
}

# Runs what is to be measured for both programs, in turns; each column of the result has the numbers of one of them.
function Measure-Both {
    param([int] $Rounds, [scriptblock] $Action)
    $columns = @{ $ours = [Collections.Generic.List[object]]::new() }
    if ($other) {
        $columns[$other] = [Collections.Generic.List[object]]::new()
    }

    for ($i = 0; $i -lt $Rounds; $i++) {
        $order = @($ours, $other).Where({ $_ })
        if ($i % 2) {
            [array]::Reverse($order)
        }

        foreach ($program in $order) {
            try {
                $null = $columns[$program]?.Add((& $Action $program))
            }
            catch {
                # What the other one cannot do at all has no figure.
                if ($program -eq $ours) { throw }
                $Host.UI.WriteLine("$_")
                $columns[$program] = $null
            }
        }
    }

    $columns
}

function Add-Row {
    param([string] $What, [string] $Unit, [double] $Mine, [Nullable[double]] $Theirs)
    $line = "| $What | $($Mine.ToString('0.0')) $Unit |"
    if ($other) {
        $line += $null -eq $Theirs ? ' – | |' : " $($Theirs.ToString('0.0')) $Unit | $(($Mine / $Theirs).ToString('0.00')) |"
    }

    $rows.Add($line)
    $Host.UI.WriteLine($line)
}

# A row of a number that each round has at a place of its result.
function Add-Measured {
    param([string] $What, [string] $Unit, [double] $Divisor, [hashtable] $Columns, [scriptblock] $Number)
    $medians = @($ours, $other).Where({ $_ -and $Columns[$_] }).ForEach({ Get-Median @($Columns[$_] | ForEach-Object $Number) }).ForEach({ $_ / $Divisor })
    Add-Row $What $Unit $medians[0] ($medians.Count -gt 1 ? $medians[1] : $null)
}

function Clear-Images {
    if ([IO.Directory]::Exists($images)) {
        [IO.Directory]::Delete($images, $true)
    }

    $null = [IO.Directory]::CreateDirectory($images)
}

function Measure-Cycle {
    param([string] $What, [int] $Rounds, [string] $Kind, [long] $Size)
    $columns = Measure-Both $Rounds {
        param($program)
        Clear-Images
        Invoke-Round 'cycle', $program, $images, $Kind, $Size
        # CRIU itself tells how long the tree stood still.
        $statistics = "$images/stats-dump"
        [IO.File]::Exists($statistics) ? (Get-CriuImage $statistics).dump.frozen_time : 0
    }
    Add-Measured "${What}: dump" 'ms' 1000 $columns { $_[0] }
    Add-Measured "${What}: restore" 'ms' 1000 $columns { $_[1] }
    Add-Measured "${What}: dump and restore" 'ms' 1000 $columns { $_[0] + $_[1] }
    Add-Measured "${What}: memory of criu" 'MiB' 1024 $columns { $_[2] }
    $other -and $columns[$other] ? (Get-Median @($columns[$other] | ForEach-Object { $_[3] })) / 1000 : $null
}

function Measure-StartUp {
    foreach ($command in '--version', 'check') {
        $columns = Measure-Both 15 { param($program) Invoke-Round 'time', $program, $command }
        Add-Measured "criu $command" 'ms' 1000 $columns { $_[0] }
    }

    $sizes = @($ours, $other).Where({ $_ }).ForEach({ [IO.FileInfo]::new([IO.File]::ResolveLinkTarget($_, $true) ?? $_).Length / 1MB })
    Add-Row 'size of the executable' 'MiB' $sizes[0] ($other ? $sizes[1] : $null)
}

# How long an idle process stands still: the first dump of a shell, and one of many.
function Measure-Freeze {
    param([Nullable[double]] $Theirs)
    $id = [int](& sh -c "setsid $round target idle 0 </dev/null >/dev/null 2>&1 & echo `$!")
    try {
        [Threading.Thread]::Sleep(200)
        $fresh = for ($i = 0; $i -lt 11; $i++) {
            Clear-Images
            [double](& "$root/criups" -Command "(Invoke-CriuDump $id $images -LeaveRunning).FreezeTime.TotalMilliseconds")
        }

        Add-Row 'freeze of an idle process, first dump of a shell' 'ms' (Get-Median $fresh) $Theirs
        $warm = for ($i = 0; $i -lt 60; $i++) {
            (Invoke-CriuDump $id $images -LeaveRunning -Force).FreezeTime.TotalMilliseconds
        }

        Add-Row 'freeze of an idle process, warm shell' 'ms' (Get-Median $warm[20..59]) $Theirs
    }
    finally {
        & kill -9 $id
    }
}

function Write-Results {
    $kernel = [IO.File]::ReadAllText('/proc/sys/kernel/osrelease').Trim()
    $memory = [Math]::Round([GC]::GetGCMemoryInfo().TotalAvailableMemoryBytes / 1GB)
    $head = @(
        '# Speed', ''
        "Made on $([DateTime]::UtcNow.ToString('yyyy-MM-dd')) by ``$($other ? 'CRIU=/path/of/criu ' : '')./criups build.ps1 -Bench``, on a virtual"
        "machine with $([Environment]::ProcessorCount) processors and $memory GiB, Linux $kernel. Medians; images in memory (tmpfs)."
        "$($other ? 'Both programs ran in turns; the last column is ours divided by theirs. ' : '')How it is measured: bench/bench.ps1, bench/round.c."
        ''
        $other ? '| | CriuPS | CRIU 4.2 | ratio |', '|---|---:|---:|---:|' : '| | CriuPS |', '|---|---:|'
    )
    [IO.File]::WriteAllText("$PSScriptRoot/results.md", (@($head; $rows) -join "`n") + "`n")
}

# Runs this script again where /run is in memory and nobody disturbs.
function Invoke-Undisturbed {
    $env:CRIUPS_BENCH_UNDISTURBED = 1
    & chrt --fifo 10 true 2>$null
    $priority = $LASTEXITCODE -eq 0 ? 'chrt --fifo 10' : ''
    & unshare --mount bash -c "mount -t tmpfs tmpfs /run && exec $priority `"`$@`"" bench "$root/criups" -File $PSCommandPath
    exit $LASTEXITCODE
}

if (-not $env:CRIUPS_BENCH_UNDISTURBED) {
    Invoke-Undisturbed
}

try {
    & gcc -O2 -pthread -o $round "$PSScriptRoot/round.c"
    if ($LASTEXITCODE -ne 0) {
        throw 'round.c cannot be compiled'
    }

    Measure-StartUp
    $theirs = Measure-Cycle 'idle process' 21 'idle' 0
    Measure-Freeze $theirs
    $null = Measure-Cycle '1 GiB of random memory' 5 'memory' 1GB
    $null = Measure-Cycle '1000 threads' 7 'threads' 1000
    $null = Measure-Cycle 'a tree of 200 processes' 7 'tree' 200
    $null = Measure-Cycle 'a tree of 2000 processes' 3 'tree' 2000
    $null = Measure-Cycle '5000 descriptors' 7 'descriptors' 5000
    $null = Measure-Cycle '18000 descriptors' 3 'descriptors' 18000
    $null = Measure-Cycle '200 processes with 500 descriptors each' 3 'tables' 500
    Write-Results
}
finally {
    [IO.Directory]::Delete($scratch, $true)
}
