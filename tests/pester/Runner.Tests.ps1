# The test runner's own tests. They must pass under Pester 5 and under the small runner alike, apart from the last block, which looks
# at the small runner from outside.

BeforeDiscovery {
    $cases = @(
        @{ Left = 1; Right = 2; Sum = 3; Inner = @{ Deep = 'x' } }
        @{ Left = 2; Right = 2; Sum = 4; Inner = @{ Deep = 'y' } }
    )
    $never = $true
}

BeforeAll {
    $fromFile = 'file'
    function Get-Doubled { param($Value) 2 * $Value }
}

Describe 'Scopes' {
    BeforeAll {
        $fromBlock = 'block'
        $list = [Collections.Generic.List[string]]::new()
    }

    BeforeEach {
        $list.Add('outer')
        $fresh = 0
    }

    It 'sees what BeforeAll of the file and of the block defined' {
        "$fromFile $fromBlock" | Should -Be 'file block'
        Get-Doubled 21 | Should -Be 42
    }

    It 'has a scope of its own in every test (one)' {
        $fresh++
        $onlyHere = 1
        $fresh | Should -Be 1
    }

    It 'has a scope of its own in every test (two)' {
        $fresh | Should -Be 0
        $onlyHere | Should -BeNullOrEmpty
    }

    Context 'inside' {
        BeforeAll { $inner = "$fromBlock+inner" }
        BeforeEach { $list.Add('inner') }

        It 'runs the outer BeforeEach first' {
            $list[-2] | Should -Be 'outer'
            $list[-1] | Should -Be 'inner'
            $inner | Should -Be 'block+inner'
        }
    }

    It 'forgets the variables of a block that has ended' {
        $inner | Should -BeNullOrEmpty
    }
}

Describe 'Clean-up' {
    BeforeAll { $log = [Collections.Generic.List[string]]::new() }
    AfterEach { $log.Add('after') }
    It 'is not yet done in the first test' { $log.Count | Should -Be 0 }
    It 'is done after the first test' { $log | Should -HaveCount 1 }
}

Describe 'Data' {
    It 'adds <Left> and <Right> (<Inner.Deep>)' -ForEach $cases {
        $Left + $Right | Should -Be $Sum
    }

    It 'takes plain items: <_>' -ForEach 3, 4 {
        $_ | Should -BeIn 3, 4
    }

    Context 'of a block: <Left>' -ForEach $cases {
        BeforeAll { $seen = $Left }
        It 'reaches BeforeAll and the tests' {
            $seen | Should -Be $Left
            $_.Sum | Should -Be ($Left + $Right)
        }
    }

    It 'is not run for no items' -ForEach @() {
        throw 'never'
    }
}

Describe 'Skipping' {
    It 'skips a test' -Skip:$never { throw 'never' }
    Context 'a block' -Skip {
        BeforeAll { throw 'never' }
        It 'skips all tests of it' { throw 'never' }
    }

    It 'can be decided late' {
        Set-ItResult -Skipped -Because 'the test says so'
        throw 'never'
    }
}

Describe 'The test drive' {
    It 'is a directory and a drive' {
        [IO.File]::WriteAllText("$TestDrive/a.txt", 'x')
        "$TestDrive/a.txt" | Should -Exist
        'TestDrive:/a.txt' | Should -Exist
        'TestDrive:/b.txt' | Should -Not -Exist
    }
}

Describe 'Should' {
    It 'compares' {
        1 | Should -Be 1
        'A' | Should -Be 'a'
        'A' | Should -Not -BeExactly 'a'
        1, 2, 3 | Should -Be @(1, 2, 3)
        $null | Should -Be $null
        $true | Should -BeTrue
        0 | Should -BeFalse
        5 | Should -BeGreaterThan 4
        5 | Should -BeGreaterOrEqual 5
        5 | Should -BeLessThan 6
        5 | Should -BeLessOrEqual 5
        'hello' | Should -Match '^h.l+o$'
        'hello' | Should -BeLike 'he*'
        'hello' | Should -Not -BeLike 'x*'
    }

    It 'looks into collections' {
        1, 2, 3 | Should -Contain 2
        1, 2, 3 | Should -Not -Contain 4
        1, 2, 3 | Should -HaveCount 3
        @() | Should -HaveCount 0
        @() | Should -BeNullOrEmpty
        '' | Should -BeNullOrEmpty
        'x' | Should -Not -BeNullOrEmpty
        2 | Should -BeIn 1, 2
    }

    It 'knows types' {
        1 | Should -BeOfType [int]
        'x' | Should -Not -BeOfType [int]
        [uri]'http://localhost' | Should -BeOfType ([uri])
    }

    It 'catches' {
        { throw 'bad thing' } | Should -Throw
        { throw 'bad thing' } | Should -Throw 'bad*'
        { throw 'bad thing' } | Should -Throw -ExpectedMessage '*thing'
        { [int]::Parse('x') } | Should -Throw -ExceptionType ([Management.Automation.MethodInvocationException])
        { Import-Module nonesuch -ErrorAction Stop } | Should -Throw -ErrorId 'Modules_ModuleNotFound,*'
        { 1 } | Should -Not -Throw
        $record = { throw 'kept' } | Should -Throw -PassThru
        $record.Exception.Message | Should -Be 'kept'
    }

    It 'fails where it must: <_>' -ForEach @(
        { 1 | Should -Be 2 }
        { 1 | Should -Not -Be 1 }
        { 1, 2 | Should -Be @(1, 3) }
        { 1, 2 | Should -HaveCount 3 }
        { 1 | Should -BeOfType [string] }
        { 'a' | Should -Match 'b' }
        { 'a' | Should -BeNullOrEmpty }
        { $false | Should -BeTrue }
        { { 1 } | Should -Throw }
        { { throw 'a' } | Should -Throw 'b' }
        { { throw 'a' } | Should -Not -Throw }
        { '/nonexistent/file' | Should -Exist }
    ) {
        $_ | Should -Throw
    }

    It 'says what it expected, what it got, and why' {
        { 1 | Should -Be 2 -Because 'so it is' } | Should -Throw -ExpectedMessage '*2*so it is*1*'
    }
}

Describe 'The small runner' {
    BeforeAll {
        $root = [IO.Path]::GetFullPath("$PSScriptRoot/../..")
        [IO.File]::WriteAllText("$TestDrive/Broken.Tests.ps1", @'
Describe 'broken' {
    It 'passes' { 1 | Should -Be 1 }
    It 'fails' { 1 |
        Should -Be 2 }
    It 'throws' { [IO.File]::ReadAllText('/nonexistent') }
    It 'is skipped' -Skip { }
    Context 'not prepared' {
        BeforeAll { throw 'no way' }
        It 'one' { }
        It 'two' { }
    }
    Context 'not cleaned up' {
        AfterAll { throw 'left over' }
        It 'three' { }
    }
}
'@)
        [IO.File]::WriteAllText("$TestDrive/Unreadable.Tests.ps1", "Describe 'x' {")
        $output = & "$root/criups" -File "$root/tests/runner/run.ps1" -Bundled -Report "$TestDrive/counts" `
            "$TestDrive/Broken.Tests.ps1" "$TestDrive/Unreadable.Tests.ps1"
        $exitCode = $LASTEXITCODE
        $text = $output -join "`n"
    }

    It 'fails as a whole when one test fails' { $exitCode | Should -Be 1 }
    It 'counts' {
        [IO.File]::ReadAllText("$TestDrive/counts") | Should -Be '2 6 1'
        $output[-1] | Should -Be '2 passed, 6 failed, 1 skipped'
    }
    It 'says where a test failed' { $text | Should -Match 'Broken\.Tests\.ps1:[34]' }
    It 'says what was wrong' { $text | Should -Match 'Expected -Be 2 but got 1' }
    It 'fails every test of a block that could not be prepared' { [regex]::Matches($text, 'no way').Count | Should -Be 2 }
    It 'shows a failed clean-up' { $text | Should -Match 'left over' }
}
