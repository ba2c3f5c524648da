<#
.SYNOPSIS
Runs Pester 5 files: with Pester where it is installed, else with the small runner of this folder.
.DESCRIPTION
The small runner needs only PowerShell's core commands and understands the words that this project's tests use: Describe, Context, It,
BeforeDiscovery, BeforeAll, BeforeEach, AfterEach, AfterAll, Set-ItResult, -ForEach, -Skip, -Tag, TestDrive, and Should with its common
operators. It has Pester's two phases: first every file is read for its blocks and tests, then they run.
.PARAMETER Path
The files.
.PARAMETER Report
A file that gets three numbers: passed, failed, skipped.
.PARAMETER Bundled
Take the small runner even where Pester is installed.
#>
param(
    [Parameter(Position = 0, ValueFromRemainingArguments)] [string[]] $Path,
    [string] $Report,
    [switch] $Bundled
)

function Invoke-RealPester {
    param([string[]] $Path)
    Import-Module Pester -MinimumVersion 5.0
    $configuration = New-PesterConfiguration
    $configuration.Run.Path = $Path
    $configuration.Run.PassThru = $true
    $configuration.Output.Verbosity = 'Detailed'
    $result = Invoke-Pester -Configuration $configuration
    @{
        Passed  = $result.PassedCount
        Failed  = $result.FailedCount + $result.FailedBlocksCount + $result.FailedContainersCount
        Skipped = $result.SkippedCount + $result.NotRunCount
    }
}

$hasPester = -not $Bundled -and @(Get-Module -ListAvailable Pester | Where-Object { $_.Version.Major -ge 5 }).Count -gt 0
if ($hasPester) {
    $counts = Invoke-RealPester $Path
}
else {
    Import-Module "$PSScriptRoot/Spec.psm1"
    # These run in the files' own scopes, which a module's code can reach only through a block that comes from outside of it.
    $scopes = @{
        Enter  = {
            param($SpecContinue, $SpecVariables)
            foreach ($SpecKey in $SpecVariables.Keys) {
                $ExecutionContext.SessionState.PSVariable.Set("local:$SpecKey", $SpecVariables[$SpecKey])
            }

            # An automatic variable is no entry in a scope's table: only code of this very scope can set it.
            if ($SpecVariables.ContainsKey('_')) { $_ = $SpecVariables['_'] }
            . $SpecContinue
        }
        # A file that the module's code ran itself would be part of the module.
        Load   = { param($SpecFile) . $SpecFile }
        Expand = { param($SpecText) $ExecutionContext.InvokeCommand.ExpandString($SpecText) }
    }
    $counts = Invoke-Spec $Path $scopes
}

if ($Report) {
    [IO.File]::WriteAllText([IO.Path]::GetFullPath($Report), "$($counts.Passed) $($counts.Failed) $($counts.Skipped)")
}

# Errors that tests provoke are no failure of this script: only its counts are.
exit [int]($counts.Failed -gt 0)
