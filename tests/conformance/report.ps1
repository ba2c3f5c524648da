<#
.SYNOPSIS
Puts the outcome of a run of ZDTM into docs/conformance.md.
.DESCRIPTION
Reads what run.sh has left, groups the tests that failed by reasons.tsv, and writes everything between the two marks of the page anew. A
failure that no reason explains is a bug and is listed by itself, with what was said. Runs in the embedded shell: ./criups
tests/conformance/report.ps1 RESULTS
.PARAMETER Results
The directory that run.sh has made. Where a test was run several times, it has passed if it has always passed.
.PARAMETER Page
The page; docs/conformance.md if nothing is said.
#>
param(
    [Parameter(Position = 0, Mandatory)] [string] $Results,
    [string] $Page = [IO.Path]::Combine($PSScriptRoot, '..', '..', 'docs', 'conformance.md')
)

$ErrorActionPreference = 'Stop'
$begin = '<!-- from here on made by tests/conformance/report.ps1 -->'

# Rows of a file with tabs between its columns, as objects; lines that begin with # are comments.
function Read-Table {
    param([string] $Path, [string[]] $Columns)
    foreach ($line in [IO.File]::ReadLines($Path)) {
        if ($line -eq '' -or $line.StartsWith('#')) {
            continue
        }

        $values = $line.Split("`t")
        $row = [ordered]@{}
        for ($i = 0; $i -lt $Columns.Count; $i++) {
            $row[$Columns[$i]] = $i -lt $values.Count ? $values[$i].Trim() : ''
        }

        [pscustomobject]$row
    }
}

# Objects by the value of a property, in the order of these values. The embedded shell has no Group-Object and no Sort-Object.
function Get-Group {
    param([object[]] $Rows, [string] $Property)
    $groups = [Collections.Generic.SortedDictionary[string, Collections.Generic.List[object]]]::new([StringComparer]::Ordinal)
    foreach ($row in $Rows) {
        if (-not $groups.ContainsKey($row.$Property)) {
            $groups[$row.$Property] = [Collections.Generic.List[object]]::new()
        }

        $groups[$row.$Property].Add($row)
    }

    # The comma keeps PowerShell from taking the dictionary apart.
    , $groups
}

# One row a test, in the order of their names: the worst of its outcomes.
function Merge-Round {
    param([object[]] $Rows)
    foreach ($rounds in (Get-Group $Rows Test).Values) {
        foreach ($verdict in 'CRASH', 'FROZEN', 'HANG', 'FAIL', 'PASS', 'SKIP') {
            if ($worst = @($rounds | Where-Object Verdict -EQ $verdict)) {
                $worst[0]
                break
            }
        }
    }
}

function Find-Reason {
    param([object] $Row, [object[]] $Reasons)
    if ($Row.Verdict -ne 'FAIL') {
        return $null
    }

    foreach ($reason in $Reasons) {
        if ($Row.Message -cmatch $reason.Pattern -or $Row.Test -cmatch "^($($reason.Pattern))`$") {
            return $reason.Reason
        }
    }
}

function Format-Names {
    param([object[]] $Rows)
    ($Rows.Test | ForEach-Object { "``$_``" }) -join ' '
}

# Text of a program in a cell of a table.
function Format-Cell {
    param([string] $Text)
    $short = $Text.Length -gt 300 ? $Text.Substring(0, 300) + ' …' : $Text
    $short.Replace('|', '\|').Replace('<', '&lt;').Replace('_', '\_').Replace('*', '\*').Replace('`', "'")
}

$rows = @(Merge-Round @(Read-Table "$Results/results.tsv" Test, Verdict, Seconds, Message))
$reasons = @(Read-Table "$PSScriptRoot/reasons.tsv" Pattern, Reason)
$run = [IO.File]::ReadAllText("$Results/run.txt").Trim()
$passed = @($rows | Where-Object Verdict -EQ PASS)
$skipped = @($rows | Where-Object Verdict -EQ SKIP)
$failed = @($rows | Where-Object Verdict -NotIn PASS, SKIP | ForEach-Object {
    [pscustomobject]@{ Test = $_.Test; Verdict = $_.Verdict; Message = $_.Message; Reason = Find-Reason $_ $reasons }
})

$text = [Collections.Generic.List[string]]::new()
$text.Add("$run`: **$($passed.Count) of $($passed.Count + $failed.Count) tests pass**; ZDTM itself skips $($skipped.Count) more here.")
$text.Add("`n### Not there yet`n`n| missing | tests | which |`n| --- | --- | --- |")
$groups = Get-Group @($failed | Where-Object Reason) Reason
foreach ($reason in $groups.Keys) {
    $text.Add("| $reason | $($groups[$reason].Count) | $(Format-Names $groups[$reason]) |")
}

$bugs = @($failed | Where-Object { -not $_.Reason })
$text.Add("`n### Failures that nothing above explains: $($bugs.Count)`n`n| test | verdict | what was said |`n| --- | --- | --- |")
foreach ($bug in $bugs) {
    $text.Add("| ``$($bug.Test)`` | $($bug.Verdict) | $(Format-Cell $bug.Message) |")
}

$text.Add("`n### Passed`n`n$(Format-Names $passed)")
$text.Add("`n### Skipped by ZDTM`n`n$(Format-Names $skipped)")

$old = [IO.File]::ReadAllText($Page)
$at = $old.IndexOf($begin, [StringComparison]::Ordinal)
if ($at -lt 0) {
    throw "$Page has no line '$begin'"
}

[IO.File]::WriteAllText($Page, $old.Substring(0, $at + $begin.Length) + "`n`n" + ($text -join "`n") + "`n")
"$($passed.Count) passed, $($failed.Count) failed ($($bugs.Count) of them unexplained), $($skipped.Count) skipped"
