BeforeAll {
    # What a shell of its own has before and after the check: descriptors, mounts, its namespaces and its children.
    $inventory = @'
function Get-Inventory {
    $self = '/proc/self'
    # The shell and the runtime open files whenever they like to; a descriptor that stays behind would be there after each check.
    $fds = @([IO.Directory]::GetFiles("$self/fd")).Count
    $mounts = [IO.File]::ReadAllText("$self/mountinfo")
    $namespaces = [IO.Directory]::GetFiles("$self/ns") | ForEach-Object { [IO.FileInfo]::new($_).LinkTarget }
    $children = [IO.Directory]::GetDirectories("$self/task") | ForEach-Object { [IO.File]::ReadAllText("$_/children") }
    @{ Fds = $fds; Rest = "$mounts|$namespaces|$($children -join '')|$([IO.File]::ReadAllText("$self/loginuid"))" }
}
'@
    $criups = "$PSScriptRoot/../../criups"
}

Describe 'Test-CriuKernel' {
    It 'gives one object for each feature and privilege' {
        $all = @(Test-CriuKernel)
        ($all.Count -gt 100) | Should -BeTrue
        @($all | Where-Object { $_.Required -and -not $_.Supported }).Count | Should -Be 0
        foreach ($one in $all) {
            $one.Detail | Should -Not -BeNullOrEmpty
            $one.NeededFor | Should -Not -BeNullOrEmpty
            [string]::IsNullOrEmpty($one.Remedy) | Should -Be $one.Supported
        }
    }

    It 'says what the kernel itself says' {
        $config = '/proc/config.gz'
        if ([IO.File]::Exists($config)) {
            $zip = [IO.Compression.GZipStream]::new([IO.File]::OpenRead($config), [IO.Compression.CompressionMode]::Decompress)
            $text = [IO.StreamReader]::new($zip).ReadToEnd()
            $zip.Dispose()
            (Test-CriuKernel mem_dirty_track).Supported | Should -Be $text.Contains("`nCONFIG_MEM_SOFT_DIRTY=y")
            (Test-CriuKernel vma_anon_name).Supported | Should -Be $text.Contains("`nCONFIG_ANON_VMA_NAME=y")
        }
        $effective = [Convert]::ToUInt64(([IO.File]::ReadAllText('/proc/self/status') -split "CapEff:\t")[1].Substring(0, 16), 16)
        (Test-CriuKernel CAP_SYS_RESOURCE).Supported | Should -Be ([bool]($effective -shr 24 -band 1))
        (Test-CriuKernel CAP_SYS_PTRACE).Supported | Should -Be ([bool]($effective -shr 19 -band 1))
    }

    It 'takes names, wildcards, and its own output' {
        (Test-CriuKernel -Feature KCMP).Name | Should -Be 'kcmp'
        @(Test-CriuKernel uffd*).Name -join ' ' | Should -Be 'uffd uffd-noncoop uffd_wp_async'
        @('uffd', 'kcmp' | Test-CriuKernel).Name -join ' ' | Should -Be 'kcmp uffd'
        (Test-CriuKernel kcmp | Test-CriuKernel).Name | Should -Be 'kcmp'
        @(Test-CriuKernel no-such-*).Count | Should -Be 0
        @(@() | Test-CriuKernel).Count | Should -Be 0
    }

    It 'gives an error for a name that does not exist and tests the others' {
        $found = @(Test-CriuKernel uffd_everything, kcmp -ErrorVariable problem -ErrorAction SilentlyContinue)
        $found.Name | Should -Be 'kcmp'
        @($problem).Count | Should -Be 1
        $problem[0].FullyQualifiedErrorId | Should -Be 'UnknownFeature,CriuPS.Commands.TestCriuKernelCommand'
        [string]$problem[0].CategoryInfo.Category | Should -Be 'InvalidArgument'
        $problem[0].TargetObject | Should -Be 'uffd_everything'
        $problem[0].ErrorDetails.RecommendedAction | Should -Match 'uffd'
    }

    It 'says only true or false with -Quiet' {
        Test-CriuKernel -Quiet | Should -BeTrue
        Test-CriuKernel kcmp, uffd -Quiet | Should -BeTrue
        $missing = @(Test-CriuKernel | Where-Object { -not $_.Supported })[0]
        if ($missing) {
            Test-CriuKernel kcmp, $missing.Name -Quiet | Should -BeFalse
        }
        Test-CriuKernel kcmp, no_such_feature -Quiet -ErrorAction SilentlyContinue | Should -BeFalse
    }

    It 'completes names' {
        $line = 'Test-CriuKernel -Feature uffd'
        $found = [Management.Automation.CommandCompletion]::CompleteInput($line, $line.Length, $null)
        @($found.CompletionMatches.CompletionText) -join ' ' | Should -Be 'uffd uffd-noncoop uffd_wp_async'
    }

    It 'leaves nothing behind' {
        $script = $inventory + @'
$null = Test-CriuKernel
$before = Get-Inventory
$null = 1..3 | ForEach-Object { Test-CriuKernel }
$after = Get-Inventory
$before.Rest -ceq $after.Rest
$after.Fds - $before.Fds -lt 3
'@
        @(& $criups -Command $script) -join ' ' | Should -Be 'True True'
    }

    It 'tells another user which privileges are missing' {
        $script = 'Test-CriuKernel -Quiet; Test-CriuKernel clone3_set_tid, map_files, CAP_CHECKPOINT_RESTORE, kcmp | ForEach-Object { "$($_.Name) $($_.Supported) $($_.Remedy)" }'
        $said = @(& setpriv --reuid 12345 --regid 12345 --clear-groups --inh-caps=-all $criups -Command $script)
        $said[0] | Should -Be 'False'
        @($said | Where-Object { $_ -match '^(clone3_set_tid|map_files) False .*CAP_CHECKPOINT_RESTORE' }).Count | Should -Be 2
        @($said | Where-Object { $_ -match '^CAP_CHECKPOINT_RESTORE False ' }).Count | Should -Be 1
        @($said | Where-Object { $_ -match '^kcmp True ' }).Count | Should -Be 1
    }

    It 'is shown as a table with the reason' {
        $text = @(& $criups -Command 'Test-CriuKernel kcmp, CAP_SYS_ADMIN')
        @($text | Where-Object { $_ -match '^kcmp +Basic +True +True +kcmp\(KCMP_FILE\)' }).Count | Should -Be 1
    }

    It 'names what it gives' {
        (Get-Command Test-CriuKernel).OutputType.Name -join ' ' | Should -Be 'CriuPS.Engine.Check.KernelFeature System.Boolean'
    }

    It 'has help with examples that work' {
        $help = Get-Help Test-CriuKernel -Full
        $help.Synopsis | Should -Match 'features of the kernel'
        (@($help.examples.example).Count -ge 3) | Should -BeTrue
        foreach ($example in @($help.examples.example)) {
            { & ([scriptblock]::Create($example.code)) } | Should -Not -Throw
        }
        foreach ($parameter in @($help.parameters.parameter | Where-Object { $_.name -in 'Feature', 'Quiet' })) {
            $parameter.description[0].Text | Should -Not -BeNullOrEmpty
        }
    }
}
