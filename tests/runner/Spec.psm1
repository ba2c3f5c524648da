# A small runner for Pester 5 files: see run.ps1.
#
# Discovery.ps1   the first phase: the words Describe, Context, It, Before..., After...
# Execution.ps1   the second phase: scopes, results, output
# Should.ps1      assertions
#
# The code of a module has variables of its own, so nothing here gets in the way of the tests' variables. A block of a test file that is
# dot-sourced here runs in the file's current scope: that is how BeforeAll defines variables which the tests then see.

$script:Scopes = $null
$script:CurrentBlock = $null
$script:Counts = @{ Passed = 0; Failed = 0; Skipped = 0 }

. "$PSScriptRoot/Discovery.ps1"
. "$PSScriptRoot/Execution.ps1"
. "$PSScriptRoot/Should.ps1"

Export-ModuleMember -Function @(
    'Invoke-Spec', 'Describe', 'Context', 'It', 'BeforeDiscovery', 'BeforeAll', 'BeforeEach', 'AfterEach', 'AfterAll', 'Should',
    'Set-ItResult'
)
