# Real programs, frozen, ended and brought back again and again while they work; each must come to the result that it would have come to anyway.
#
#   ./criups tests/programs.ps1                          all of them, ten rounds each, as root and as another user
#   ./criups tests/programs.ps1 -Program gzip,perl -Rounds 3 -User 0
#
# It needs root, some minutes, and 2 GB in the folder for temporary files. One object for each program and user; at the end an error that names
# those that failed.
param(
    [string] $Program = 'python3,waits,registers,perl,gzip,sha256sum,sqlite3,node,dd,inotifywait,daemon,loop,uring,editor,tmux',
    [int] $Rounds = 10,
    [string] $User = '0,12345'
)

$ErrorActionPreference = 'Stop'
$names = $Program.Split(',')
$users = @($User.Split(',') | ForEach-Object { [int]$_ })
. "$PSScriptRoot/pester/Program.ps1"

# 200 MB of objects, a number in a file that only goes up, and at the end a sum over all objects.
$python = @'
import os, sys
folder = sys.argv[1]
data = [{"number": i, "text": "%030d" % i, "list": [i, i + 1]} for i in range(500000)]
count = 0
while not os.path.exists(folder + "/stop"):
    count += 1
    data[count % len(data)]["list"].append(count)
    if count % 1000 == 0:
        with open(folder + "/progress", "w") as f:
            f.write("%d\n" % count)
right = all(d["number"] == i and d["text"] == "%030d" % i and d["list"][:2] == [i, i + 1] for i, d in enumerate(data))
right = right and sum(len(d["list"]) - 2 for d in data) == count
with open(folder + "/result", "w") as f:
    f.write("right" if right else "wrong")
'@

# Sorts the same million lines until it is told to stop.
$perl = @'
my $folder = $ARGV[0];
my @lines = map { sprintf("%010d %s\n", ($_ * 2654435761) % 4294967291, "x" x ($_ % 20)) } 1 .. 1000000;
my ($rounds, @sorted) = (0);
until (-e "$folder/stop") {
    @sorted = sort @lines;
    $rounds++;
    open(my $p, ">", "$folder/progress") or die; print $p "$rounds\n"; close($p);
}
my $right = @sorted == 1000000;
for (1 .. $#sorted) { $right = 0 if $sorted[$_ - 1] gt $sorted[$_] }
open(my $r, ">", "$folder/result") or die; print $r $right ? "right" : "wrong"; close($r);
'@

# Adds numbers to a table with a log of its own (WAL) until it is told to stop, fifty in a transaction, which holds a lock meanwhile.
$sqlite = @'
folder=$1
{
    echo "PRAGMA journal_mode=WAL; CREATE TABLE t(n INTEGER PRIMARY KEY, square INTEGER);"
    n=0
    while [ ! -e "$folder/stop" ]; do
        n=$((n + 1))
        [ $((n % 50)) -ne 1 ] || echo "BEGIN IMMEDIATE;"
        echo "INSERT INTO t VALUES($n, $((n * n)));"
        [ $((n % 50)) -ne 0 ] || echo "COMMIT; SELECT count(*) FROM t;"
    done
    [ $((n % 50)) -eq 0 ] || echo "COMMIT;"
    echo ".output $folder/result"
    echo "SELECT CASE WHEN count(*) = $n AND sum(square = n * n) = $n THEN 'right' ELSE 'wrong' END FROM t;"
} | sqlite3 "$folder/base" >"$folder/progress"
'@

# Timers, work in threads, and a child again and again.
$node = @'
const fs = require("fs"), crypto = require("crypto"), { spawn } = require("child_process");
const folder = process.argv[1];
let ticks = 0, children = 0, hashes = 0, wrong = 0;
const expected = crypto.pbkdf2Sync("a", "b", 1000, 16, "sha256").toString("hex");
const timer = setInterval(() => {
    ticks++;
    fs.writeFileSync(folder + "/progress", `${ticks} ${children} ${hashes}\n`);
    if (fs.existsSync(folder + "/stop")) { clearInterval(timer); stopped = true; }
}, 10);
let stopped = false;
function child() {
    spawn("/bin/sh", ["-c", "exit 7"], { stdio: "ignore" }).on("exit", code => { children++; if (code !== 7) wrong++; if (!stopped) child(); });
}
function hash() {
    crypto.pbkdf2("a", "b", 1000, 16, "sha256", (error, key) => { hashes++; if (error || key.toString("hex") !== expected) wrong++; if (!stopped) hash(); });
}
child();
hash();
process.on("exit", () => fs.writeFileSync(folder + "/result", wrong === 0 && children > 0 && hashes > 0 ? "right" : "wrong"));
'@

# The other user may not be let in where a python3 of root's own is.
$interpreter = [IO.File]::Exists('/usr/bin/python3') ? '/usr/bin/python3' : 'python3'

$work = [IO.Directory]::CreateTempSubdirectory('criups-programs-').FullName
[IO.File]::SetUnixFileMode($work, [IO.UnixFileMode]493)

function Get-Hash {
    param([string] $Path)
    $file = [IO.File]::OpenRead($Path)
    try { [Convert]::ToHexString([Security.Cryptography.SHA256]::HashData($file)).ToLowerInvariant() } finally { $file.Dispose() }
}

# Text that can be compressed, but not fast.
function New-LargeFile {
    param([string] $Path)
    & perl -e 'srand(1); open(F, ">", $ARGV[0]); for (1 .. 3000000) { printf F "%08x %s line %d\n", rand(4294967295), "word" x rand(20), $_ }' $Path
}

# Mostly a hole, which is read as fast as memory.
function New-SparseFile {
    param([string] $Path)
    $file = [IO.File]::Create($Path)
    $file.SetLength(8GB)
    foreach ($at in 0..7) {
        $file.Position = $at * 1GB + 12345
        $file.WriteByte($at + 1)
    }
    $file.Dispose()
}

function Start-Work {
    param([string] $Name, [int] $As)
    $folder = [IO.Directory]::CreateTempSubdirectory("criups-$Name-").FullName
    switch ($Name) {
        'python3' { $command = @([string]$interpreter, '-c', $python, $folder) }
        'perl' { $command = @('perl', '-e', $perl, $folder) }
        'sqlite3' { $command = @('sh', '-c', $sqlite, 'sqlite', $folder) }
        'node' { $command = @('node', '-e', $node, $folder) }
        'dd' { $command = @('sh', '-c', "dd if=$work/large bs=100 status=none | dd of=$folder/out bs=150 status=none") }
        'uring' { $command = @("$work/uring", "$work/numbers", $folder) }
        'loop' { $command = @("$work/loop", $folder) }
        { $_ -in 'editor', 'tmux' } { $command = @([string]$interpreter, "$PSScriptRoot/programs/$Name.py", $folder) }
        { $_ -in 'inotifywait', 'daemon' } { $command = @('sh', "$PSScriptRoot/programs/$Name.sh", $folder) }
        'gzip' { $command = @('sh', '-c', "exec gzip -9 <$work/large >$folder/out") }
        'sha256sum' { $command = @('sh', '-c', "exec sha256sum $work/sparse >$folder/out") }
        default { $command = @("$work/targets/$Name", "$folder/status") }
    }
    Start-Program $command -Folder $folder -User $As
}

# How far it has come, as a text that changes while it works; nothing while it has not begun.
function Get-Progress {
    param([string] $Name, $Run)
    switch ($Name) {
        { $_ -in 'gzip', 'dd' } { $file = [IO.FileInfo]::new("$($Run.Folder)/out"); if ($file.Exists -and $file.Length) { [string]$file.Length } }
        'sha256sum' {
            # It may not have opened its file yet.
            $lines = [IO.File]::Exists("/proc/$($Run.Id)/fdinfo/3") ? [IO.File]::ReadAllLines("/proc/$($Run.Id)/fdinfo/3") : @()
            foreach ($line in $lines) { if ($line -match '^pos:\s+([1-9]\d*)$') { $Matches[1] } }
        }
        'sqlite3' { $log = [IO.FileInfo]::new("$($Run.Folder)/base-wal"); if ($log.Exists) { [string]$log.LastWriteTimeUtc.Ticks } }
        { $_ -in 'python3', 'perl', 'node', 'inotifywait', 'daemon', 'loop', 'uring', 'editor', 'tmux' } { $file = "$($Run.Folder)/progress"; if ([IO.File]::Exists($file)) { [IO.File]::ReadAllText($file) } }
        default {
            $said = [IO.File]::Exists("$($Run.Folder)/status") ? [IO.File]::ReadAllText("$($Run.Folder)/status") : ''
            if ($said -match 'fail') { throw "$Name says: $said" }
            # It checks itself all the time; what moves is the time that it has used.
            if ($said -match 'ready') { ([IO.File]::ReadAllText("/proc/$($Run.Id)/stat") -split '\) ')[-1].Split(' ')[11, 12] -join ' ' }
        }
    }
}

function Wait-Progress {
    param([string] $Name, $Run)
    $from = Test-Ended $Run.Id ? '' : (Get-Progress $Name $Run)
    Wait-Until "$Name goes on from '$from'" { (Test-Ended $Run.Id) -or ((Get-Progress $Name $Run) -and (Get-Progress $Name $Run) -ne $from) }
}

function Assert-Result {
    param([string] $Name, $Run)
    switch ($Name) {
        'gzip' {
            & sh -c "gzip -dc $($Run.Folder)/out | cmp - $work/large"
            if ($LASTEXITCODE) { throw 'what gzip wrote is not the file' }
        }
        'dd' {
            & cmp "$($Run.Folder)/out" "$work/large"
            if ($LASTEXITCODE) { throw 'what dd wrote is not the file' }
        }
        'sha256sum' {
            $text = [IO.File]::ReadAllText("$($Run.Folder)/out")
            if ($text -ne "$sparseHash  $work/sparse`n") { throw "sha256sum says '$text', expected $sparseHash" }
        }
        { $_ -in 'python3', 'perl', 'sqlite3', 'node', 'inotifywait', 'daemon', 'loop', 'uring', 'editor', 'tmux' } {
            $text = [IO.File]::ReadAllText("$($Run.Folder)/result").TrimEnd()
            if ($text -ne 'right') { throw "the result of $Name is $text" }
        }
        default {
            $text = [IO.File]::ReadAllText("$($Run.Folder)/status").TrimEnd().Split("`n")[-1]
            if ($text -ne 'ok') { throw "$Name says '$text'" }
        }
    }
}

# A client of tmux that has just come is refused, and comes in at once.
function Save-Program {
    param([string] $Name, $Run)
    for ($tries = 1; ; $tries++) {
        try {
            return Invoke-CriuDump $Run.Id $Run.Images -Force -FileLocks
        }
        catch {
            if ($Name -ne 'tmux' -or $tries -eq 20 -or $_.FullyQualifiedErrorId -notlike 'Refused*' -or "$_" -notmatch 'not accepted yet|closed again') { throw }
            [Threading.Thread]::Sleep(10)
        }
    }
}

function Test-Program {
    param([string] $Name, [int] $As)
    $run = Start-Work $Name $As
    $done = 0
    $freeze = $dump = $restore = [TimeSpan]::Zero
    try {
        Wait-Progress $Name $run
        while ($done -lt $Rounds -and -not (Test-Ended $run.Id)) {
            $out = Save-Program $Name $run
            if (-not (Test-Ended $run.Id)) { throw "process $($run.Id) has not ended" }
            $in = Invoke-CriuRestore $run.Images
            ($done, $freeze, $dump, $restore) = ($done + 1), ($freeze + $out.FreezeTime), ($dump + $out.Duration), ($restore + $in.Duration)
            Wait-Progress $Name $run
        }

        [IO.File]::WriteAllText("$($run.Folder)/stop", '')
        if ($Name -in 'waits', 'registers') { & kill -TERM $run.Id }
        Wait-Until "$Name ends" { Test-Ended $run.Id } -Seconds 300
        Assert-Result $Name $run
        [pscustomobject]@{
            Program = $Name; User = $As; Rounds = $done; Threads = $out.Threads; Pages = $out.Pages
            FreezeMs = [int]($freeze.TotalMilliseconds / $done); DumpMs = [int]($dump.TotalMilliseconds / $done)
            RestoreMs = [int]($restore.TotalMilliseconds / $done)
        }
    }
    finally {
        Stop-Program $run
    }
}

try {
    if ($names -contains 'gzip' -or $names -contains 'dd') { New-LargeFile "$work/large" }
    if ($names -contains 'sha256sum') {
        New-SparseFile "$work/sparse"
        $sparseHash = Get-Hash "$work/sparse"
    }
    if ($names -contains 'uring') { & seq 300000 >"$work/numbers" }
    foreach ($source in @('loop', 'uring') | Where-Object { $names -contains $_ }) {
        & sh -c "gcc -std=gnu11 -O2 -pthread -o $work/$source $PSScriptRoot/programs/$source.c $($source -eq 'uring' ? '-luring' : '')"
        if ($LASTEXITCODE) { throw "$source cannot be built" }
    }

    & sh "$PSScriptRoot/targets/build.sh" "$work/targets"
    $failures = @()
    foreach ($name in $names) {
        foreach ($as in $users) {
            try { Test-Program $name $as } catch { $failures += "$name as user ${as}: $_" }
        }
    }
}
finally {
    [IO.Directory]::Delete($work, $true)
}

if ($failures) {
    throw $failures -join "`n"
}
