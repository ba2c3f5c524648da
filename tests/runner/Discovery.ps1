# The first phase: a file is run for its blocks and tests. The bodies of the blocks run now, those of the tests are kept.

function New-Block {
    param($Name, $Parent, $Data, [bool] $Skip, $File)
    @{
        Kind       = 'Block'
        Name       = $Name
        Parent     = $Parent
        Data       = $Data
        Skip       = $Skip
        File       = $File
        Items      = [Collections.Generic.List[hashtable]]::new()
        BeforeAll  = [Collections.Generic.List[scriptblock]]::new()
        BeforeEach = [Collections.Generic.List[scriptblock]]::new()
        AfterEach  = [Collections.Generic.List[scriptblock]]::new()
        AfterAll   = [Collections.Generic.List[scriptblock]]::new()
    }
}

# The variables of each item of -ForEach: $_, and the keys of a dictionary. Without -ForEach there is one run and no variable.
function Get-DataOf {
    param($Bound)
    if (-not $Bound.ContainsKey('ForEach')) {
        return , @(, @{})
    }

    $all = foreach ($item in $Bound.ForEach) {
        $variables = @{ _ = $item }
        if ($item -is [Collections.IDictionary]) {
            foreach ($key in $item.Keys) {
                $variables[[string]$key] = $item[$key]
            }
        }

        $variables
    }
    , @($all)
}

function Add-Block {
    param($Bound)
    $parent = $script:CurrentBlock
    foreach ($data in (Get-DataOf $Bound)) {
        $skip = $parent.Skip -or ($Bound.ContainsKey('Skip') -and $Bound.Skip)
        $block = New-Block $Bound.Name $parent $data $skip $parent.File
        $parent.Items.Add($block)
        $script:CurrentBlock = $block
        try {
            $null = & $script:Scopes.Enter { . $Bound.Fixture } $data
        }
        finally {
            $script:CurrentBlock = $parent
        }
    }
}

function Describe {
    param(
        [Parameter(Mandatory, Position = 0)] [string] $Name,
        [Parameter(Mandatory, Position = 1)] [scriptblock] $Fixture,
        $ForEach, [switch] $Skip, [string[]] $Tag
    )
    Add-Block $PSBoundParameters
}

function Context {
    param(
        [Parameter(Mandatory, Position = 0)] [string] $Name,
        [Parameter(Mandatory, Position = 1)] [scriptblock] $Fixture,
        $ForEach, [switch] $Skip, [string[]] $Tag
    )
    Add-Block $PSBoundParameters
}

function It {
    param(
        [Parameter(Mandatory, Position = 0)] [string] $Name,
        [Parameter(Mandatory, Position = 1)] [scriptblock] $Test,
        [Alias('TestCases')] $ForEach, [switch] $Skip, [string[]] $Tag
    )
    $block = $script:CurrentBlock
    foreach ($data in (Get-DataOf $PSBoundParameters)) {
        $block.Items.Add(@{
                Kind = 'Test'; Name = $Name; Parent = $block; Data = $data; Body = $Test
                Skip = $block.Skip -or $Skip; File = $block.File
            })
    }
}

function BeforeDiscovery {
    param([Parameter(Mandatory, Position = 0)] [scriptblock] $ScriptBlock)
    $null = . $ScriptBlock
}

function BeforeAll {
    param([Parameter(Mandatory, Position = 0)] [scriptblock] $Scriptblock)
    $script:CurrentBlock.BeforeAll.Add($Scriptblock)
}

function BeforeEach {
    param([Parameter(Mandatory, Position = 0)] [scriptblock] $Scriptblock)
    $script:CurrentBlock.BeforeEach.Add($Scriptblock)
}

function AfterEach {
    param([Parameter(Mandatory, Position = 0)] [scriptblock] $Scriptblock)
    $script:CurrentBlock.AfterEach.Add($Scriptblock)
}

function AfterAll {
    param([Parameter(Mandatory, Position = 0)] [scriptblock] $Scriptblock)
    $script:CurrentBlock.AfterAll.Add($Scriptblock)
}
