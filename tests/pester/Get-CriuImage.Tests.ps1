BeforeAll {
    # An image file: the common magic, the magic of the kind, and entries, each with its size before it.
    function Write-Image([string] $Path, [uint32] $Magic, [byte[][]] $Entry) {
        $bytes = [Collections.Generic.List[byte]]::new()
        $bytes.AddRange([BitConverter]::GetBytes([uint32] 0x54564319))
        $bytes.AddRange([BitConverter]::GetBytes($Magic))
        foreach ($one in $Entry) {
            $bytes.AddRange([BitConverter]::GetBytes([uint32] $one.Length))
            $bytes.AddRange($one)
        }
        [IO.File]::WriteAllBytes($Path, $bytes.ToArray())
    }

    $set = [IO.Directory]::CreateTempSubdirectory('criups-images-').FullName
    # pid 12, ppid 0, pgid 12, sid 12, threads 12 and 13; then pid 14, ppid 12, pgid 12, sid 12, thread 14
    Write-Image "$set/pstree.img" 0x50273030 @(
        (, [byte[]] (8, 12, 16, 0, 24, 12, 32, 12, 40, 12, 40, 13)) + (, [byte[]] (8, 14, 16, 12, 24, 12, 32, 12, 40, 14)))
    Write-Image "$set/fs-12.img" 0x51403912 (, [byte[]] (8, 1, 16, 2))
    Write-Image "$set/fs-14.img" 0x51403912 (, [byte[]] (8, 3, 16, 4))
    # pipe 7 with three bytes, which follow the entry
    Write-Image "$set/pipes-data.img" 0x56453709 (, [byte[]] (8, 7, 16, 3))
    [IO.File]::AppendAllText("$set/pipes-data.img", 'abc')
    [IO.File]::WriteAllText("$set/pages-1.img", 'x' * 8192)
    [IO.File]::WriteAllText("$set/dump.log", 'no image')
}

AfterAll {
    [IO.Directory]::Delete($set, $true)
}

Describe 'Get-CriuImage' {
    It 'shows every entry of every image of a directory' {
        $all = Get-CriuImage $set
        ($all | ForEach-Object ImageType) -join ' ' | Should -Be 'PSTREE PSTREE FS FS PAGES PIPES_DATA'
        ($all | ForEach-Object FileName)[2] | Should -Be 'fs-12.img'
        $all[2].ImageId | Should -Be 12
        $all[2].ImageDirectory | Should -Be $set
    }

    It 'has the fields of the message as properties' {
        $root = @(Get-CriuImage $set -Type PSTREE)[0]
        $root.pid | Should -Be 12
        $root.ppid | Should -Be 0
        $root.threads -join ' ' | Should -Be '12 13'
        $root.EntryOffset | Should -Be 8
    }

    It 'tells how many bytes belong to an entry' {
        (Get-CriuImage $set -Type PIPES_DATA).PayloadSize | Should -Be 3
        (Get-CriuImage $set -Type PAGES).PayloadSize | Should -Be 8192
    }

    It 'filters by kind, with wildcards, and by id' {
        @(Get-CriuImage $set -Type p*).Count | Should -Be 4
        @(Get-CriuImage $set -Type FS, PSTREE -Id 14).Count | Should -Be 1
        (Get-CriuImage $set -Id 12).cwd_id | Should -Be 1
    }

    It 'takes files, wildcards, objects and literal paths' {
        @(Get-CriuImage "$set/fs-*.img").Count | Should -Be 2
        ([IO.FileInfo]::new("$set/fs-12.img") | Get-CriuImage).cwd_id | Should -Be 1
        ([pscustomobject] @{ Path = "$set/fs-12.img" } | Get-CriuImage).cwd_id | Should -Be 1
        (Get-CriuImage -LiteralPath "$set/fs-12.img").cwd_id | Should -Be 1
        ("$set/fs-12.img", "$set/fs-14.img" | Get-CriuImage | ForEach-Object cwd_id) -join ' ' | Should -Be '1 3'
    }

    It 'gives types for views' {
        (Get-CriuImage $set -Id 12).PSTypeNames[0] | Should -Be 'CriuPS.ImageEntry.FS'
        (Get-CriuImage $set -Id 12).PSTypeNames[1] | Should -Be 'CriuPS.ImageEntry'
    }

    Context 'with damaged files' {
        BeforeAll {
            $bad = [IO.Directory]::CreateTempSubdirectory('criups-images-').FullName
            Write-Image "$bad/fs-1.img" 0x51403912 (, [byte[]] (8, 1, 16, 2))
            Write-Image "$bad/fs-2.img" 0x50273030 (, [byte[]] (8, 1, 16, 2))
            $tree = [IO.File]::ReadAllBytes("$set/pstree.img")
            [IO.File]::WriteAllBytes("$bad/pstree.img", $tree[0..($tree.Length - 2)])
        }

        AfterAll {
            [IO.Directory]::Delete($bad, $true)
        }

        It 'names file and offset and goes on' {
            $shown = Get-CriuImage $bad -ErrorAction SilentlyContinue -ErrorVariable failures
            ($shown | ForEach-Object ImageType) -join ' ' | Should -Be 'PSTREE FS'
            $failures.Count | Should -Be 2
            $failures[0].FullyQualifiedErrorId | Should -Be 'TruncatedImage,CriuPS.Commands.GetCriuImageCommand'
            $failures[0].TargetObject | Should -Be "$bad/pstree.img"
            $failures[1].FullyQualifiedErrorId | Should -Be 'BadMagic,CriuPS.Commands.GetCriuImageCommand'
            "$($failures[1])" | Should -Match 'fs-2\.img, offset 4'
            "$($failures[1].CategoryInfo.Category)" | Should -Be 'InvalidData'
        }

        It 'reports a path that does not exist and a directory without images' {
            [IO.Directory]::CreateDirectory("$bad/empty") | ForEach-Object { }
            $shown = Get-CriuImage "$bad/nothing", "$bad/empty", "$bad/fs-1.img" -ErrorAction SilentlyContinue -ErrorVariable failures
            $shown.cwd_id | Should -Be 1
            ($failures | ForEach-Object { $_.FullyQualifiedErrorId -replace ',.*' }) -join ' ' | Should -Be 'PathNotFound NoImages'
        }

        It 'refuses a kind that does not exist and says which there are' {
            try {
                Get-CriuImage $bad -Type NOPE
                $failure = $null
            }
            catch {
                $failure = $_
            }
            $failure.FullyQualifiedErrorId | Should -Be 'UnknownImageType,CriuPS.Commands.GetCriuImageCommand'
            $failure.ErrorDetails.RecommendedAction | Should -Match 'PSTREE'
        }
    }
}
