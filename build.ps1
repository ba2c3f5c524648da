<#
.SYNOPSIS
Builds, tests, measures and packs CriuPS. Runs in pwsh and in the embedded shell: ./criups build.ps1 ...
.DESCRIPTION
In the embedded shell only PowerShell's core commands exist, so .NET does here what Get-Content or Test-Path would do elsewhere.
.PARAMETER Build
Publishes module and shell to out/CriuPS and out/shell, and the native program criu to out/criu/criu. The default. Native code needs gcc
or clang for its linking.
.PARAMETER Test
Installs what the tests need, builds, runs all suites and ends with one line: N passed, N failed, N skipped.
.PARAMETER Bench
Runs the measurements of bench/.
.PARAMETER Pack
Makes an installable module folder, a .zip and a .nupkg in out/pack.
.PARAMETER Filter
Runs only the test or bench files whose path matches this wildcard, e.g. *Dump*; unit tests by class name.
#>
[CmdletBinding(DefaultParameterSetName = 'Build')]
param(
    [Parameter(ParameterSetName = 'Build')] [switch] $Build,
    [Parameter(ParameterSetName = 'Test', Mandatory)] [switch] $Test,
    [Parameter(ParameterSetName = 'Bench', Mandatory)] [switch] $Bench,
    [Parameter(ParameterSetName = 'Pack', Mandatory)] [switch] $Pack,
    [Parameter(ParameterSetName = 'Test')] [Parameter(ParameterSetName = 'Bench')] [string] $Filter = '*'
)

$ErrorActionPreference = 'Stop'
$root = $PSScriptRoot
$out = [IO.Path]::Combine($root, 'out')
$dotnet = $env:DOTNET_ROOT ? [IO.Path]::Combine($env:DOTNET_ROOT, 'dotnet') : 'dotnet'
$env:DOTNET_CLI_TELEMETRY_OPTOUT = 1
$env:DOTNET_NOLOGO = 1

# Runs a program; its failure is ours.
function Invoke-Program {
    param([string] $Program, [string[]] $Arguments)
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) {
        throw "$([IO.Path]::GetFileName($Program)) $Arguments ended with exit code $LASTEXITCODE"
    }
}

function Publish-Module {
    Invoke-Program "$root/src/publish.sh"
}

function Publish-Criu {
    if (-not @($env:PATH.Split(':') | Where-Object { [IO.File]::Exists("$_/gcc") -or [IO.File]::Exists("$_/clang") })) {
        throw 'criu is native code, which gcc or clang has to link: install one of them'
    }

    Invoke-Program "$root/src/publish.sh" 'criu'
}

function Get-FileOf {
    param([string] $Folder, [string] $Pattern)
    if ([IO.Directory]::Exists($Folder)) {
        [IO.Directory]::GetFiles($Folder, $Pattern, 'AllDirectories') | Where-Object { $_ -like $Filter }
    }
}

# Runs the xunit suite in a process of its own; the counts come from its report.
function Test-Unit {
    $project = "$root/tests/unit"
    Invoke-Program $dotnet build, $project, '-c', 'Release', '-v', 'q', '-nologo'
    $report = "$out/test/unit.xml"
    $arguments = @("$project/bin/Release/net10.0/CriuPS.Tests.dll", '-noLogo', '-noColor', '-result-xml', $report)
    if ($Filter -ne '*') {
        $arguments += '-class', $Filter
    }

    & $dotnet @arguments | ForEach-Object { Show-Line $_ }
    if (-not [IO.File]::Exists($report)) {
        throw "the unit tests ended with exit code $LASTEXITCODE and left no report"
    }

    $sum = @{ Passed = 0; Failed = 0; Skipped = 0 }
    foreach ($assembly in ([xml][IO.File]::ReadAllText($report)).assemblies.assembly) {
        $sum.Passed += [int]$assembly.GetAttribute('passed')
        $sum.Failed += [int]$assembly.failed + [int]$assembly.errors
        $sum.Skipped += [int]$assembly.skipped + [int]$assembly.'not-run'
    }

    $sum
}

# Runs the Pester files in a shell of its own: what this one has loaded cannot be unloaded.
function Test-Pester {
    $files = @(Get-FileOf "$root/tests/pester" '*.Tests.ps1')
    $sum = @{ Passed = 0; Failed = 0; Skipped = 0 }
    if ($files.Count -eq 0) {
        return $sum
    }

    $report = "$out/test/pester.txt"
    & "$root/criups" -File "$root/tests/runner/run.ps1" -Report $report @files | ForEach-Object { Show-Line $_ }
    if (-not [IO.File]::Exists($report)) {
        throw "the Pester tests ended with exit code $LASTEXITCODE and left no report"
    }

    $counts = [IO.File]::ReadAllText($report).Split(' ')
    @{ Passed = [int]$counts[0]; Failed = [int]$counts[1]; Skipped = [int]$counts[2] }
}

# Functions return their result: what they show must not become part of it.
function Show-Line {
    param($Line)
    $Host.UI.WriteLine([string]$Line)
}

function Test-Everything {
    if ([IO.Directory]::Exists("$out/test")) {
        [IO.Directory]::Delete("$out/test", $true)
    }

    $null = [IO.Directory]::CreateDirectory("$out/test")
    Invoke-Program "$root/tests/install-dependencies.sh"
    Publish-Module
    Publish-Criu
    $total = @{ Passed = 0; Failed = 0; Skipped = 0 }
    foreach ($suite in 'Test-Unit', 'Test-Pester') {
        try {
            $sum = @(& $suite)[-1]
            foreach ($key in 'Passed', 'Failed', 'Skipped') {
                $total[$key] += $sum[$key]
            }
        }
        catch {
            # A suite that cannot run is a failure, and the other one still has its turn.
            Show-Line "$suite could not run: $($_.Exception.Message)"
            $total.Failed++
        }
    }

    "$($total.Passed) passed, $($total.Failed) failed, $($total.Skipped) skipped"
    if ($total.Failed -gt 0 -or $total.Passed -eq 0) {
        exit 1
    }
}

function Measure-Everything {
    Publish-Module
    Publish-Criu
    foreach ($file in Get-FileOf "$root/bench" '*.ps1') {
        "== $([IO.Path]::GetRelativePath($root, $file))"
        Invoke-Program "$root/criups" '-File', $file
    }
}

function New-Package {
    Publish-Module
    Publish-Criu
    $pack = "$out/pack"
    if ([IO.Directory]::Exists($pack)) {
        [IO.Directory]::Delete($pack, $true)
    }

    $null = [IO.Directory]::CreateDirectory($pack)
    Invoke-Program cp '-rL', "$out/CriuPS", "$pack/CriuPS"
    Invoke-Program cp "$out/criu/criu", "$pack/criu"
    $manifest = Test-ModuleManifest "$pack/CriuPS/CriuPS.psd1"
    $name = "CriuPS.$($manifest.Version)"
    [IO.Compression.ZipFile]::CreateFromDirectory("$pack/CriuPS", "$pack/$name.zip", 'Optimal', $true)
    # The package that the PowerShell Gallery and Install-PSResource understand: the module's files at its root.
    $nuspec = "$pack/CriuPS.nuspec"
    [IO.File]::WriteAllText($nuspec, @"
<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata>
    <id>CriuPS</id>
    <version>$($manifest.Version)</version>
    <authors>$($manifest.Author)</authors>
    <license type="expression">GPL-2.0-only</license>
    <description>$($manifest.Description)</description>
    <copyright>$($manifest.Copyright)</copyright>
    <tags>PSModule $($manifest.Tags -join ' ') $(@($manifest.ExportedCmdlets.Keys | ForEach-Object { "PSCmdlet_$_" }) -join ' ')</tags>
  </metadata>
  <files>
    <file src="**" target="" />
  </files>
</package>
"@)
    Invoke-Program $dotnet pack, "$root/src/CriuPS.Cmdlets", '-c', 'Release', '--no-build', '-v', 'q', '-nologo', '-o', $pack,
        "-p:NuspecFile=$nuspec", "-p:NuspecBasePath=$pack/CriuPS", '-p:NoWarn=NU5100%3BNU5110%3BNU5111%3BNU5128'
    [IO.File]::Delete($nuspec)
    "the module folder $pack/CriuPS, $name.zip, $name.nupkg and the program criu are in $pack"
}

switch ($PSCmdlet.ParameterSetName) {
    'Test' { Test-Everything }
    'Bench' { Measure-Everything }
    'Pack' { New-Package }
    default {
        Publish-Module
        Publish-Criu
    }
}
