<#
.SYNOPSIS
The main job: a running program becomes image files, is gone, and comes back from them with the same pid, still counting.
#>
$ErrorActionPreference = 'Stop'

function Show { param([string] $Text) $Host.UI.WriteLine($Text) }
function Read-Last { param([string] $Path) ([IO.File]::ReadAllText($Path).TrimEnd("`n") -split "`n")[-1] }

$folder = [IO.Directory]::CreateTempSubdirectory('criups-demo-').FullName
$counter = "$folder/count"
$images = "$folder/images"
$program = @'
use POSIX; POSIX::setsid(); POSIX::close($_) for 3..1023;
open(STDIN, "<", "/dev/null"); open(STDOUT, ">>", "$ARGV[0]/log"); open(STDERR, ">&", \*STDOUT);
open(PID, ">", "$ARGV[0]/pid"); print PID $$; close(PID);
open(COUNT, ">", "$ARGV[0]/count"); select((select(COUNT), $| = 1)[0]);
for (my $i = 1; ; $i++) { print COUNT "$i\n"; select(undef, undef, undef, 0.1); }
'@

try {
    # A session of its own, and no descriptors but its own: what a service has.
    $null = [Diagnostics.Process]::Start('setsid', [string[]] @('--fork', 'perl', '-e', $program, $folder))
    while (-not [IO.File]::Exists($counter)) { [Threading.Thread]::Sleep(50) }
    [Threading.Thread]::Sleep(1000)
    $id = [int][IO.File]::ReadAllText("$folder/pid")
    Show "1. Process $id counts; it has come to $(Read-Last $counter)."

    Show '2. It is frozen into image files and ended:'
    $dump = Invoke-CriuDump -Id $id -Path $images
    $dump
    Show "   It has come to $(Read-Last $counter)."
    Show "   The images: $([string]::Join(', ', ([IO.Directory]::GetFiles($images) | ForEach-Object { [IO.Path]::GetFileName($_) })))"
    [Threading.Thread]::Sleep(1000)
    Show "   A second later nobody has counted: $(Read-Last $counter)"

    Show '3. It comes back:'
    $restore = Invoke-CriuRestore -Path $images
    $restore
    [Threading.Thread]::Sleep(1000)
    Show "   Process $($restore.Id) has come to $(Read-Last $counter)."
}
finally {
    if ($id) {
        try { [Diagnostics.Process]::GetProcessById($id).Kill() } catch [ArgumentException] { Show "   process $id is not there" }
    }

    [IO.Directory]::Delete($folder, $true)
}
