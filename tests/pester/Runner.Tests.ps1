# The small runner of tests/runner, run on files that say what its words mean. Where Pester is installed, it is held to the same.

BeforeDiscovery {
    $pester = @(Get-Module -ListAvailable Pester | Where-Object { $_.Version.Major -ge 5 }).Count -gt 0
}

BeforeAll {
    $root = [IO.Path]::GetFullPath("$PSScriptRoot/../..")
    $samples = "$root/tests/runner/samples"

    # In a shell of its own, so that its exit code can be seen, and nothing of it stays here.
    function Invoke-Runner {
        param([string[]] $Path, [switch] $Pester)
        $report = "$TestDrive/report"
        [IO.File]::Delete($report)
        $choice = $Pester ? @() : @('-Bundled')
        $text = @(& "$root/criups" -File "$root/tests/runner/run.ps1" -Report $report @choice @Path)
        @{ ExitCode = $LASTEXITCODE; Counts = [IO.File]::Exists($report) ? [IO.File]::ReadAllText($report) : $null; Text = $text }
    }
}

Describe 'The small runner' {
    It 'means what Pester means by its words' {
        $run = Invoke-Runner "$samples/words.ps1"
        @($run.Text | Where-Object { $_ -match '^ *\[-\]' }) | Should -HaveCount 0
        $run.Counts | Should -Be '108 0 5'
        $run.ExitCode | Should -Be 0
        $run.Text[-1] | Should -Be '108 passed, 0 failed, 5 skipped'
    }

    It 'has samples that Pester agrees with' -Skip:(-not $pester) {
        $run = Invoke-Runner "$samples/words.ps1" -Pester
        $run.Counts | Should -Be '108 0 5'
        $run.ExitCode | Should -Be 0
    }

    It 'puts items and their properties into names' {
        $text = (Invoke-Runner "$samples/words.ps1").Text
        @($text | Where-Object { $_ -match '\[\+\] is plain: 7 \d+ms$' }) | Should -HaveCount 3
        @($text | Where-Object { $_ -match '\[\+\] is a table: b is 1 long, b \d+ms$' }) | Should -HaveCount 1
        @($text | Where-Object { $_ -match '^ +of a block: q$' }) | Should -HaveCount 1
    }

    It 'counts as failed what failed, wherever it failed' {
        $run = Invoke-Runner "$samples/failures.ps1"
        $failed = @($run.Text | Where-Object { $_ -match '^ *\[-\]' } | ForEach-Object { $_.Trim() })
        $failed -join "`n" | Should -Be (@(
                '[-] fails an assertion'
                '[-] throws'
                '[-] calls what does not exist'
                '[-] fails for one item: 2'
                '[-] never runs'
                '[-] would pass'
                '[-] never runs'
                '[-] never runs either'
                '[-] fails by itself'
                '[-] AfterAll of after all'
            ) -join "`n")
        $run.Counts | Should -Be '2 10 1'
        $run.ExitCode | Should -Be 1
    }

    It 'says why and where' {
        $text = (Invoke-Runner "$samples/failures.ps1").Text
        $text -contains "        Expected -Be 2 but got 1" | Should -BeTrue
        $text -contains "        at $samples/failures.ps1:8" | Should -BeTrue
        @($text | Where-Object { $_ -match '^ +thrown (by the test|before each|after each|before all|after all)$' }) | Should -HaveCount 6
    }

    It 'adds up several files, and one that cannot be read is a failure' {
        [IO.File]::WriteAllText("$TestDrive/one.ps1", "Describe 'one' { It 'passes' { 1 | Should -Be 1 } }")
        [IO.File]::WriteAllText("$TestDrive/broken.ps1", "Describe 'broken' { It 'has no end' {")
        [IO.File]::WriteAllText("$TestDrive/throws.ps1", "Describe 'throws' { throw 'outside of a test' }")
        $run = Invoke-Runner "$TestDrive/broken.ps1", "$TestDrive/one.ps1", "$TestDrive/throws.ps1", "$TestDrive/missing.ps1", "$TestDrive/one.ps1"
        $run.Counts | Should -Be '2 3 0'
        $run.ExitCode | Should -Be 1
    }
}
