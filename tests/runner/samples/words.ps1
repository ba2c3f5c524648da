# Every word that the small runner knows, with what Pester 5 says that it means: run by both, and all of it passes but what is skipped.

BeforeDiscovery {
    $discovered = 'three', 'four'
}

BeforeAll {
    $log = [Collections.Generic.List[string]]::new()
    function Get-Twice { param($Number) 2 * $Number }
}

Describe 'the order of things' {
    BeforeAll { $log.Add('(') }
    BeforeEach { $log.Add('<') }
    AfterEach { $log.Add('>') }
    AfterAll { $log.Add(')') }

    It 'is this' { $log.Add('one') }

    Context 'within' {
        BeforeAll { $log.Add('[') }
        BeforeEach { $log.Add('{') }
        AfterEach { $log.Add('}') }
        AfterAll { $log.Add(']') }

        It 'is that' { $log.Add('two') }
    }

    It 'is once more' -ForEach $discovered { $log.Add($_) }
}

Describe 'after it' {
    It 'has set up outside before inside, and taken down the other way round' {
        $log -join '' | Should -Be '(<one>[<{two}>]<three><four>)'
    }
}

Describe 'variables' {
    BeforeAll {
        $all = 1
        $list = [Collections.Generic.List[int]]::new()
    }
    BeforeEach { $each = 2 }

    It 'come from BeforeAll and BeforeEach, functions too' {
        $all + $each | Should -Be 3
        Get-Twice 21 | Should -Be 42
        $all = 10
        $list.Add(1)
    }

    It 'that a test sets are gone in the next one, objects stay' {
        $all | Should -Be 1
        $list.Count | Should -Be 1
    }

    Context 'within' {
        BeforeAll { $all = 5 }

        It 'are the nearest' { $all | Should -Be 5 }
    }

    It 'of an inner block are gone behind it' { $all | Should -Be 1 }

    It 'tell where the file is' {
        [IO.File]::Exists("$PSScriptRoot/words.ps1") | Should -BeTrue
    }

    It 'name an empty directory for the file' {
        [IO.Directory]::Exists($TestDrive) | Should -BeTrue
        [IO.File]::WriteAllText("$TestDrive/file", 'text')
        'TestDrive:/file' | Should -Exist
        'TestDrive:/other' | Should -Not -Exist
    }
}

Describe 'items' {
    It 'is plain: <_>' -ForEach 7, 7, 7 {
        $_ | Should -Be 7
        (& { $_ }) | Should -Be 7
        @(1, 2 | ForEach-Object { $_ }) | Should -Be @(1, 2)
        $_ | Should -Be 7
    }

    It 'is a table: <Name> is <Value.Length> long, <_.Name>' -ForEach @(
        @{ Name = 'a'; Value = 'x' }
        @{ Name = 'b'; Value = 'y' }
    ) {
        $_.Name | Should -Be $Name
        $Value.Length | Should -Be 1
    }

    It 'is a case' -TestCases @{ Case = 3 } { $Case | Should -Be 3 }

    It 'is an object of its own kind' -ForEach ([Version]'1.2') { $_.Minor | Should -Be 2 }

    It 'is nothing, so there is no test' -ForEach @() { throw 'no item' }

    It 'is $null' -ForEach $null, $null { $_ | Should -BeNullOrEmpty }

    Context 'of a block: <_>' -ForEach 'p', 'q' {
        BeforeAll { $inBeforeAll = $_ }
        BeforeEach { $inBeforeEach = $_ }

        It 'are there in all its parts' {
            $_ | Should -BeIn 'p', 'q'
            $inBeforeAll | Should -Be $_
            $inBeforeEach | Should -Be $_
        }

        It 'give way to those of the test' -ForEach 8, 9 {
            $_ | Should -BeGreaterThan 7
            $inBeforeAll | Should -BeIn 'p', 'q'
        }
    }

    Context 'of a block that are tables: <Left>' -ForEach @{ Left = 2; Right = 3 } {
        It 'are variables beside those of the test' -ForEach @{ Sum = 5 } {
            $Left + $Right | Should -Be $Sum
        }
    }
}

Describe 'skipping' {
    BeforeAll { $prepared = $true }

    It 'leaves a test out' -Skip { throw 'never' }
    It 'does not leave it out' -Skip:$false { $prepared | Should -BeTrue }
    It 'is said by the test itself' {
        Set-ItResult -Skipped -Because 'it says so'
        throw 'never'
    }

    Context 'a block' -Skip {
        BeforeAll { throw 'nothing is prepared for tests that are all left out' }
        AfterAll { throw 'never' }

        It 'leaves all out' { throw 'never' }
        It 'leaves all out, each of them' -ForEach 1, 2 { throw 'never' }
    }
}

Describe 'Should' {
    It 'is content: <_>' -ForEach @(
        { 'a' | Should -Be 'A' }
        { 'a' | Should -Not -Be 'b' }
        { @(1, 2) | Should -Be 1, 2 }
        { @(1, 2) | Should -Not -Be 1 }
        { $null | Should -Be $null }
        { 1 | Should -Not -Be $null }
        { Should -ActualValue 5 -Be 5 }
        { 'a' | Should -BeExactly 'a' }
        { 'a' | Should -Not -BeExactly 'A' }
        { $true | Should -BeTrue }
        { 1 | Should -BeTrue }
        { $false | Should -Not -BeTrue }
        { $false | Should -BeFalse }
        { 0 | Should -BeFalse }
        { '' | Should -BeNullOrEmpty }
        { $null | Should -BeNullOrEmpty }
        { @() | Should -BeNullOrEmpty }
        { 0 | Should -Not -BeNullOrEmpty }
        { 'abc' | Should -Match '^A.C$' }
        { 'abc' | Should -Not -Match 'd' }
        { 'abc' | Should -MatchExactly 'b' }
        { 'abc' | Should -Not -MatchExactly 'B' }
        { 'abc' | Should -BeLike 'A*' }
        { 'abc' | Should -BeLikeExactly 'a*' }
        { 'abc' | Should -Not -BeLikeExactly 'A*' }
        { 2 | Should -BeGreaterThan 1 }
        { 2 | Should -BeGreaterOrEqual 2 }
        { 2 | Should -BeLessThan 3 }
        { 2 | Should -BeLessOrEqual 2 }
        { 2 | Should -Not -BeLessThan 2 }
        { 1, 2 | Should -Contain 2 }
        { 1, 2 | Should -Not -Contain 3 }
        { 2 | Should -BeIn 1, 2 }
        { 1, 2 | Should -HaveCount 2 }
        { @() | Should -HaveCount 0 }
        { , 'a' | Should -HaveCount 1 }
        { 'a' | Should -BeOfType ([string]) }
        { 'a' | Should -BeOfType string }
        { 'a' | Should -Not -BeOfType ([int]) }
        { '/' | Should -Exist }
        { { throw 'oh dear' } | Should -Throw }
        { { throw 'oh dear' } | Should -Throw '*dear' }
        { { throw [ArgumentException]::new('x') } | Should -Throw -ExceptionType ([ArgumentException]) }
        { { throw 'oh dear' } | Should -Throw -ErrorId 'oh dear' }
        { { 1 } | Should -Not -Throw }
        { ({ throw 'oh' } | Should -Throw -PassThru).Exception.Message | Should -Be 'oh' }
    ) {
        & $_
    }

    It 'is not content: <_>' -ForEach @(
        { 'a' | Should -Be 'b' }
        { 'a' | Should -Not -Be 'A' }
        { @(1, 2) | Should -Be 1 }
        { @(1, 2) | Should -Be 2, 1 }
        { $null | Should -Be 1 }
        { 1 | Should -Be $null }
        { 'a' | Should -BeExactly 'A' }
        { $false | Should -BeTrue }
        { $null | Should -BeTrue }
        { 1 | Should -BeFalse }
        { 0 | Should -BeNullOrEmpty }
        { '' | Should -Not -BeNullOrEmpty }
        { 'abc' | Should -Match 'd' }
        { 'abc' | Should -MatchExactly 'B' }
        { 'abc' | Should -BeLike 'b*' }
        { 'abc' | Should -BeLikeExactly 'A*' }
        { 2 | Should -BeGreaterThan 2 }
        { 2 | Should -BeGreaterOrEqual 3 }
        { 2 | Should -BeLessThan 2 }
        { 2 | Should -BeLessOrEqual 1 }
        { 1, 2 | Should -Contain 3 }
        { 2 | Should -Not -BeIn 1, 2 }
        { 1, 2 | Should -HaveCount 1 }
        { @() | Should -HaveCount 1 }
        { 'a' | Should -BeOfType ([int]) }
        { '/nowhere' | Should -Exist }
        { { 1 } | Should -Throw }
        { { throw 'oh dear' } | Should -Throw 'dear' }
        { { throw 'oh dear' } | Should -Throw -ErrorId 'other' }
        { { throw 'oh dear' } | Should -Throw -ExceptionType ([ArgumentException]) }
        { { throw 'oh dear' } | Should -Not -Throw }
        { 'no block' | Should -Throw }
        { 1 | Should -BeTheVeryThing 1 }
    ) {
        $complaint = $null
        try { & $_ } catch { $complaint = $_ }
        $complaint | Should -Not -BeNullOrEmpty
    }

    It 'gives the reason' {
        { 1 | Should -Be 2 -Because 'one is not two' } | Should -Throw '*one is not two*'
    }
}
