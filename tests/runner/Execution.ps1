# The second phase: blocks and tests run in the order in which they stand in the file.

class SpecSkippedException : Exception {
    SpecSkippedException([string] $message) : base($message) { }
}

function Write-Line {
    param([string] $Text, [string] $Color)
    if ($Color -and -not [Console]::IsOutputRedirected) {
        $Host.UI.WriteLine([ConsoleColor]$Color, [ConsoleColor]-1, $Text)
    }
    else {
        $Host.UI.WriteLine($Text)
    }
}

function Get-Depth {
    param($Item)
    $depth = 0
    for ($at = $Item.Parent; $at; $at = $at.Parent) {
        $depth++
    }

    $depth
}

# "adds <a> and <b.c>": each <...> is an expression of the test's own scope; `< is a plain sign. Called where that scope is current.
function Get-NameOf {
    param($Item)
    if (-not $Item.Name.Contains('<')) {
        return $Item.Name
    }

    $text = [regex]::Replace($Item.Name, '(?<!`)<([^<>]+)>|[`$"]', {
            param($match)
            if ($match.Groups[1].Success) { '$($' + $match.Groups[1].Value + ')' } else { '`' + $match.Value }
        })
    try {
        & $script:Scopes.Expand $text.Replace('``<', '<')
    }
    catch {
        $Item.Name
    }
}

# Where a failure happened: the nearest line of a file that is not the runner's.
function Get-PlaceOf {
    param([Management.Automation.ErrorRecord] $Record)
    $places = [regex]::Matches("$($Record.ScriptStackTrace)", '(?m), (?<file>.+): line (?<line>\d+)$') |
        Where-Object { [IO.Path]::IsPathRooted($_.Groups['file'].Value) -and [IO.Path]::GetDirectoryName($_.Groups['file'].Value) -ne $PSScriptRoot }
    $place = @($places)[0]
    $place ? "$($place.Groups['file'].Value):$($place.Groups['line'].Value)" : $Record.InvocationInfo.ScriptName
}

function Add-Failure {
    param($Item, [string] $Name, [Management.Automation.ErrorRecord] $Record, $Streams)
    $script:Counts.Failed++
    $indent = '  ' * (Get-Depth $Item)
    Write-Line "$indent[-] $Name" 'Red'
    foreach ($line in "$Record".Split("`n")) {
        Write-Line "$indent    $line" 'Red'
    }

    Write-Line "$indent    at $(Get-PlaceOf $Record)" 'Red'
    foreach ($line in @($Streams | Where-Object { $_ -is [Management.Automation.ErrorRecord] })) {
        Write-Line "$indent    error stream: $line"
    }
}

function Add-Skipped {
    param($Item, [string] $Reason)
    $script:Counts.Skipped++
    Write-Line "$('  ' * (Get-Depth $Item))[!] $($Item.Name)$($Reason ? ": $Reason" : '')" 'Yellow'
}

# Every test of a block that cannot begin has failed, not only the first.
function Add-FailureToAll {
    param($Block, [Management.Automation.ErrorRecord] $Record)
    foreach ($item in $Block.Items) {
        if ($item.Kind -eq 'Block') {
            Add-FailureToAll $item $Record
        }
        elseif ($item.Skip) {
            Add-Skipped $item ''
        }
        else {
            Add-Failure $item $item.Name $Record $null
        }
    }
}

# Outer blocks first.
function Get-Chain {
    param($Block, [string] $Phase)
    if ($Block.Parent) {
        Get-Chain $Block.Parent $Phase
    }

    $Block[$Phase]
}

function Invoke-Test {
    param($Test)
    if ($Test.Skip) {
        Add-Skipped $Test ''
        return
    }

    $result = @{ Name = $Test.Name; Error = $null; Skipped = $null; Streams = @() }
    $watch = [Diagnostics.Stopwatch]::StartNew()
    & $script:Scopes.Enter {
        try {
            foreach ($step in @(Get-Chain $Test.Parent 'BeforeEach')) { $null = . $step }
            $result.Name = Get-NameOf $Test
            $result.Streams = @(. $Test.Body 2>&1)
        }
        catch {
            Add-Outcome $result $_
        }
        finally {
            $after = @(Get-Chain $Test.Parent 'AfterEach')
            [array]::Reverse($after)
            foreach ($step in $after) {
                try { $null = . $step } catch { Add-Outcome $result $_ }
            }
        }
    } $Test.Data

    if ($result.Error) {
        Add-Failure $Test $result.Name $result.Error $result.Streams
    }
    elseif ($null -ne $result.Skipped) {
        Add-Skipped $Test $result.Skipped
    }
    else {
        $script:Counts.Passed++
        Write-Line "$('  ' * (Get-Depth $Test))[+] $($result.Name) $($watch.ElapsedMilliseconds)ms" 'Green'
    }
}

# The first failure is the one that counts.
function Add-Outcome {
    param($Result, [Management.Automation.ErrorRecord] $Record)
    if ($Record.Exception -is [SpecSkippedException]) {
        $Result.Skipped = $Record.Exception.Message
    }
    elseif (-not $Result.Error) {
        $Result.Error = $Record
    }
}

function Test-HasWork {
    param($Block)
    foreach ($item in $Block.Items) {
        if (-not $item.Skip -and ($item.Kind -eq 'Test' -or (Test-HasWork $item))) {
            return $true
        }
    }

    $false
}

function Invoke-Block {
    param($Block)
    $hasWork = Test-HasWork $Block
    & $script:Scopes.Enter {
        $ready = $true
        if ($Block.Parent) {
            Write-Line "$('  ' * (Get-Depth $Block))$(Get-NameOf $Block)"
        }

        # Nothing is prepared for tests that are all skipped.
        if ($hasWork) {
            try {
                foreach ($step in $Block.BeforeAll) { $null = . $step }
            }
            catch {
                $ready = $false
                Add-FailureToAll $Block $_
            }
        }

        if ($ready) {
            foreach ($item in $Block.Items) {
                if ($item.Kind -eq 'Test') { Invoke-Test $item } else { Invoke-Block $item }
            }
        }

        if ($hasWork) {
            try {
                foreach ($step in $Block.AfterAll) { $null = . $step }
            }
            catch {
                Add-Failure $Block "AfterAll of $($Block.Name)" $_ $null
            }
        }
    } $Block.Data
}

function Set-ItResult {
    param([switch] $Skipped, [switch] $Inconclusive, [string] $Because)
    throw [SpecSkippedException]::new($Because)
}

# A directory that a file's tests may fill, as $TestDrive and as a drive.
function New-TestDrive {
    $folder = [IO.Directory]::CreateTempSubdirectory('criups-tests-').FullName
    $provider = $ExecutionContext.SessionState.Provider.GetOne('FileSystem')
    $null = $ExecutionContext.SessionState.Drive.New(
        [Management.Automation.PSDriveInfo]::new('TestDrive', $provider, $folder, '', $null), 'Global')
    $folder
}

function Remove-TestDrive {
    param([string] $Folder)
    $ExecutionContext.SessionState.Drive.Remove('TestDrive', $true, 'Global')
    try {
        [IO.Directory]::Delete($Folder, $true)
    }
    catch [UnauthorizedAccessException], [IO.IOException] {
        Write-Line "the test drive $Folder could not be removed: $($_.Exception.Message)" 'Yellow'
    }
}

function Invoke-SpecFile {
    param([string] $File)
    Write-Line "`n$File"
    $root = New-Block $File $null @{} $false $File
    $folder = New-TestDrive
    $root.Data = @{ TestDrive = $folder }
    try {
        $script:CurrentBlock = $root
        $null = & $script:Scopes.Enter { . $script:Scopes.Load $File } $root.Data
        Invoke-Block $root
    }
    catch {
        Add-Failure $root 'the file could not be read' $_ $null
    }
    finally {
        Remove-TestDrive $folder
    }
}

function Invoke-Spec {
    param([string[]] $Path, [hashtable] $Scopes)
    $script:Scopes = $Scopes
    foreach ($file in $Path) {
        Invoke-SpecFile ([IO.Path]::GetFullPath($file))
    }

    Write-Line "`n$($script:Counts.Passed) passed, $($script:Counts.Failed) failed, $($script:Counts.Skipped) skipped"
    $script:Counts
}
