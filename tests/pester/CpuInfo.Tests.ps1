BeforeAll {
    . "$PSScriptRoot/Program.ps1"
    $criu = [IO.Path]::GetFullPath("$PSScriptRoot/../../out/criu/criu")
}

Describe 'Get-CriuCpuInfo' {
    It 'describes this machine as the kernel does' {
        $cpu = Get-CriuCpuInfo
        $lines = [IO.File]::ReadAllLines('/proc/cpuinfo')
        $shown = @($lines | Where-Object { $_.StartsWith('flags') })[0].Split(':')[1].Trim().Split(' ')
        $lines -join "`n" | Should -Match ([regex]::Escape($cpu.Model.Trim()))
        @($cpu.Flags).Count | Should -BeGreaterThan 20
        $cpu.Flags -contains 'sse2' | Should -BeTrue
        # The kernel hides flags that it does not use; all others are there.
        @($shown | Where-Object { $_ -in 'avx', 'avx2', 'avx512f', 'xsavec', 'xsaves', 'erms' -and $_ -notin $cpu.Flags }).Count | Should -Be 0
        $cpu.Path | Should -BeNullOrEmpty
    }

    It 'reports both layouts of the extended state' {
        $layout = (Get-CriuCpuInfo).Layout
        $layout.Components[0].Name | Should -Be 'x87'
        foreach ($one in $layout.Components) {
            $one.Size | Should -BeGreaterThan 0
            $one.Offset + $one.Size | Should -BeLessThan ((Get-CriuCpuInfo).StateSize + 1)
            $one.CompactedOffset | Should -BeLessThan ($one.Offset + 1)
        }
        $last = $layout.Components[-1]
        if ($layout.ProgramsMayCompact) {
            $last.CompactedOffset + $last.Size | Should -BeLessThan ($layout.CompactedSize + 1)
        }
    }

    It 'gives an error for a directory without a description, and goes on' {
        $folder = [IO.Directory]::CreateTempSubdirectory('criups-cpu-').FullName
        try {
            & $criu cpuinfo dump -D $folder
            $found = @('/nowhere', $folder | Get-CriuCpuInfo -ErrorVariable problem -ErrorAction SilentlyContinue)
            $found.Count | Should -Be 1
            $found[0].Path | Should -Be $folder
            $found[0].Flags -join ' ' | Should -Be ((Get-CriuCpuInfo).Flags -join ' ')
            @($problem).Count | Should -Be 1
        }
        finally {
            [IO.Directory]::Delete($folder, $true)
        }
    }

    It 'has views, and help with examples' {
        (Invoke-Shell 'Get-CriuCpuInfo').Text -join ' ' | Should -Match 'Compaction *: by programs'
        foreach ($name in 'Get-CriuCpuInfo', 'Test-CriuCpuInfo') {
            @((Get-Help $name -Full).examples.example).Count | Should -BeGreaterThan 2
        }
    }
}

Describe 'Test-CriuCpuInfo' {
    It 'is content with the machine that a set was made on, and the restore is too' {
        $program = Start-Counter
        try {
            $null = Invoke-CriuDump $program.Id $program.Images
            $result = Test-CriuCpuInfo $program.Images -CpuCapability All
            $result.IsFit | Should -BeTrue
            @($result.Reasons).Count | Should -Be 0
            $program.Images | Test-CriuCpuInfo -Quiet | Should -BeTrue
            (Get-CriuCpuInfo $program.Images).Model | Should -Be (Get-CriuCpuInfo).Model
            (Invoke-CriuRestore $program.Images -CpuCapability All).Id | Should -Be $program.Id
            Assert-GoesOn $program
        }
        finally {
            Stop-Program $program
        }
    }

    It 'names what is missing, and a restore is refused before anything starts' {
        $program = Start-Counter
        try {
            $null = Invoke-CriuDump $program.Id $program.Images
            # A processor with more state than any: bits 5 to 7 of the mask, in a varint of the image.
            $image = "$($program.Images)/cpuinfo.img"
            [byte[]] $bytes = [IO.File]::ReadAllBytes($image)
            $sizes = (Get-CriuCpuInfo).StateSize
            $at = Find-Varint $bytes $sizes
            $bytes[$at] = $bytes[$at] -bxor 1
            [IO.File]::WriteAllBytes($image, $bytes)
            $result = Test-CriuCpuInfo $program.Images
            $result.IsFit | Should -BeFalse
            $result.Reasons -join ' ' | Should -Match 'extended state'
            Test-CriuCpuInfo $program.Images -Quiet | Should -BeFalse
            Test-CriuCpuInfo $program.Images -CpuCapability Instructions -Quiet | Should -BeTrue
            $null = Invoke-CriuRestore $program.Images -ErrorVariable problem -ErrorAction SilentlyContinue
            $problem[0].FullyQualifiedErrorId | Should -Be 'ProcessorMismatch,CriuPS.Commands.InvokeCriuRestoreCommand'
            Test-Ended $program.Id | Should -BeTrue
            (Invoke-CriuRestore $program.Images -CpuCapability None).Id | Should -Be $program.Id
        }
        finally {
            Stop-Program $program
        }
    }

    BeforeAll {
        function Find-Varint {
            param([byte[]] $Bytes, [uint32] $Value)
            $code = [Collections.Generic.List[byte]]::new()
            for ($rest = $Value; $rest -ge 128; $rest = $rest -shr 7) {
                $code.Add([byte](($rest -band 127) -bor 128))
            }
            $code.Add([byte]$rest)
            $text = [BitConverter]::ToString($Bytes)
            $place = $text.LastIndexOf([BitConverter]::ToString($code.ToArray()))
            $place / 3
        }
    }
}
