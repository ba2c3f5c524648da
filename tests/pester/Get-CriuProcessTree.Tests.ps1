BeforeAll {
    # A parent that has two children, one of which has a child itself; each shell ends when its children have.
    function Start-Family {
        $start = [Diagnostics.ProcessStartInfo]::new('/bin/sh')
        $start.ArgumentList.Add('-c')
        $start.ArgumentList.Add('sleep 600 & a=$!; sh -c "sleep 600 & echo $a \$\$ \$!; wait" & wait')
        $start.RedirectStandardOutput = $true
        $process = [Diagnostics.Process]::Start($start)
        $pids = $process.StandardOutput.ReadLine().Split(' ')
        @{ Process = $process; Parent = $process.Id; Sleeper = [int]$pids[0]; Shell = [int]$pids[1]; Grandchild = [int]$pids[2] }
    }

    $family = Start-Family
    $gone = 2147483647
}

AfterAll {
    foreach ($sleeper in $family.Sleeper, $family.Grandchild) {
        [Diagnostics.Process]::GetProcessById($sleeper).Kill()
    }
    $family.Process.WaitForExit()
}

Describe 'Get-CriuProcessTree' {
    It 'shows a process and its descendants, parents first' {
        $tree = @(Get-CriuProcessTree -Id $family.Parent)
        $tree.Count | Should -Be 4
        $tree[0].Id | Should -Be $family.Parent
        $tree[0].Depth | Should -Be 0
        $tree[0].ParentId | Should -Be $PID
        $seen = @{ $PID = $true }
        foreach ($node in $tree) {
            $seen.ContainsKey($node.ParentId) | Should -BeTrue
            $seen[$node.Id] = $true
        }
        ($tree | Where-Object Id -EQ $family.Grandchild).Depth | Should -Be 2
        ($tree | Where-Object Id -EQ $family.Grandchild).ParentId | Should -Be $family.Shell
    }

    It 'tells name, command line, state, session, group, threads and memory' {
        $node = Get-CriuProcessTree $family.Sleeper
        $node.Name | Should -Be 'sleep'
        $node.CommandLine | Should -Be 'sleep 600'
        $node.Arguments -join '|' | Should -Be 'sleep|600'
        [string]$node.State | Should -Be 'Sleeping'
        $node.Threads | Should -Be 1
        ($node.Resident -gt 4096) | Should -BeTrue
        $parent = @(Get-CriuProcessTree $family.Parent)[0]
        $node.SessionId | Should -Be $parent.SessionId
        $node.ProcessGroupId | Should -Be $parent.ProcessGroupId
        $started = [Diagnostics.Process]::GetProcessById($family.Sleeper).StartTime
        ([Math]::Abs(($node.StartTime - $started).TotalSeconds) -lt 2) | Should -BeTrue
    }

    It 'shows all processes without -Id, each once' {
        $all = @(Get-CriuProcessTree)
        $ids = [Collections.Generic.HashSet[int]]::new([int[]]($all | ForEach-Object Id))
        $ids.Count | Should -Be $all.Count
        $ids.Contains($PID) | Should -BeTrue
        $ids.Contains($family.Grandchild) | Should -BeTrue
    }

    It 'takes process objects and their own output from the pipeline' {
        @([Diagnostics.Process]::GetProcessById($family.Shell) | Get-CriuProcessTree).Count | Should -Be 2
        $again = @(Get-CriuProcessTree $family.Parent | Get-CriuProcessTree)
        $again.Count | Should -Be 4
        $again[0].Id | Should -Be $family.Parent
        @($family.Shell, $family.Sleeper | Get-CriuProcessTree).Count | Should -Be 3
    }

    It 'shows a process below an ancestor that was asked for too' {
        $tree = @(Get-CriuProcessTree $family.Grandchild, $family.Parent)
        $tree.Count | Should -Be 4
        ($tree | Where-Object Id -EQ $family.Grandchild).Depth | Should -Be 2
    }

    It 'shows nothing for an empty pipeline' {
        @(@() | Get-CriuProcessTree).Count | Should -Be 0
    }

    It 'gives an error for a process that does not exist and shows the others' {
        $found = @(Get-CriuProcessTree $gone, $family.Sleeper -ErrorVariable problem -ErrorAction SilentlyContinue)
        $found.Count | Should -Be 1
        $found[0].Id | Should -Be $family.Sleeper
        @($problem).Count | Should -Be 1
        $problem[0].FullyQualifiedErrorId | Should -Be 'ProcessGone,CriuPS.Commands.GetCriuProcessTreeCommand'
        [string]$problem[0].CategoryInfo.Category | Should -Be 'ObjectNotFound'
        $problem[0].TargetObject | Should -Be $gone
        $problem[0].ErrorDetails.RecommendedAction | Should -Not -BeNullOrEmpty
    }

    It 'refuses an id that cannot be one' {
        { Get-CriuProcessTree -Id 0 } | Should -Throw
    }

    It 'adds mappings and descriptors with -Detailed' {
        $plain = Get-CriuProcessTree $family.Sleeper
        $null -eq $plain.Mappings | Should -BeTrue
        $node = Get-CriuProcessTree $family.Sleeper -Detailed
        $node.DetailsDenied | Should -BeFalse
        @($node.ThreadIds) -join ' ' | Should -Be "$($family.Sleeper)"
        $stack = $node.Mappings | Where-Object Path -EQ '[stack]'
        $stack.Permissions | Should -Be 'rw-p'
        $stack.Size | Should -Be ($stack.End - $stack.Start)
        $node.Executable | Should -Be ([IO.FileInfo]::new("/proc/$($family.Sleeper)/exe").LinkTarget)
        $output = $node.Descriptors | Where-Object Number -EQ 1
        $output.Kind | Should -Be 'pipe'
        $output.Target | Should -Match '^pipe:\[\d+\]$'
    }

    It 'draws the tree with names moved to the right' {
        # Only a shell of its own shows what reaches the end of the pipeline.
        $text = @(& "$PSScriptRoot/../../criups" -Command "Get-CriuProcessTree $($family.Parent)")
        @($text | Where-Object { $_ -match "^ *$($family.Parent) .* \d+ sh  " }).Count | Should -Be 1
        @($text | Where-Object { $_ -match "^ *$($family.Grandchild) .* \d+     sleep  " }).Count | Should -Be 1
    }

    It 'names what it gives' {
        (Get-Command Get-CriuProcessTree).OutputType.Name | Should -Be 'CriuPS.Engine.Proc.ProcessNode'
    }

    It 'has help with examples' {
        $help = Get-Help Get-CriuProcessTree -Full
        $help.Synopsis | Should -Match 'descendants'
        (@($help.examples.example).Count -ge 2) | Should -BeTrue
        foreach ($parameter in @($help.parameters.parameter | Where-Object { $_.name -in 'Id', 'Detailed' })) {
            $parameter.description[0].Text | Should -Not -BeNullOrEmpty
        }
    }
}
