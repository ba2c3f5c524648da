# What must be counted as failed: nine tests and one AfterAll. Two tests pass, one is left out. The lines matter to the test that runs this.

BeforeAll {
    $ran = [Collections.Generic.List[string]]::new()
}

Describe 'tests' {
    It 'fails an assertion' { 1 | Should -Be 2 }
    It 'throws' { throw 'thrown by the test' }
    It 'calls what does not exist' { Invoke-Nothing }
    It 'fails for one item: <_>' -ForEach 1, 2 { $_ | Should -Be 1 }
    It 'is left out' -Skip { $ran.Add('left out') }
}

Describe 'setting up and taking down' {
    Context 'before each' {
        BeforeEach { throw 'thrown before each' }
        It 'never runs' { $ran.Add('after a failed BeforeEach') }
    }

    Context 'after each' {
        AfterEach { throw 'thrown after each' }
        It 'would pass' { }
    }

    Context 'before all' {
        BeforeAll { throw 'thrown before all' }
        It 'never runs' { $ran.Add('after a failed BeforeAll') }
        Context 'within' {
            It 'never runs either' { $ran.Add('in a block after a failed BeforeAll') }
        }
    }

    Context 'after all' {
        AfterAll { throw 'thrown after all' }
        It 'fails by itself' { throw 'thrown before AfterAll' }
    }
}

Describe 'after it' {
    It 'has run nothing that was not ready' { $ran | Should -HaveCount 0 }
}
