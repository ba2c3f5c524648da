# Assertions. One function for each kind of comparison answers true or false; Should turns the wrong answer into a failure.

class SpecAssertionException : Exception {
    SpecAssertionException([string] $message) : base($message) { }
}

function Format-Value {
    param($Value)
    if ($null -eq $Value) { return '$null' }
    if ($Value -is [string]) { return "'$Value'" }
    if ($Value -is [bool]) { return "`$$Value".ToLowerInvariant() }
    if ($Value -is [scriptblock]) { return "{$Value}" }
    if ($Value -is [type]) { return "[$($Value.FullName)]" }
    if ($Value -is [Collections.IDictionary]) {
        return '@{' + (($Value.Keys | ForEach-Object { "$_=$(Format-Value $Value[$_])" }) -join '; ') + '}'
    }
    if ($Value -is [Collections.IEnumerable]) {
        return '@(' + ((@($Value) | ForEach-Object { Format-Value $_ }) -join ', ') + ')'
    }

    "$Value"
}

function Test-Same {
    param($Actual, $Expected, [bool] $CaseSensitive)
    if ($Actual -is [array] -or $Expected -is [array]) {
        $left = @($Actual)
        $right = @($Expected)
        if ($left.Count -ne $right.Count) { return $false }
        for ($i = 0; $i -lt $left.Count; $i++) {
            if (-not (Test-Same $left[$i] $right[$i] $CaseSensitive)) { return $false }
        }

        return $true
    }

    if ($null -eq $Actual -or $null -eq $Expected) { return $null -eq $Actual -and $null -eq $Expected }
    [bool]($CaseSensitive ? ($Actual -ceq $Expected) : ($Actual -eq $Expected))
}

# Answers @{ Ok; Text }: the text names what was thrown.
function Test-Throws {
    param($Actual, $Message, $ErrorId, $ExceptionType)
    if ($Actual -isnot [scriptblock]) {
        throw [ArgumentException]::new('Should -Throw needs a script block: { ... } | Should -Throw')
    }

    try {
        $null = & $Actual
    }
    catch {
        $ok = (-not $Message -or $_.Exception.Message -like $Message) -and
            (-not $ErrorId -or $_.FullyQualifiedErrorId -like $ErrorId) -and
            (-not $ExceptionType -or $_.Exception -is $ExceptionType)
        return @{
            Ok     = $ok
            Text   = "[$($_.Exception.GetType().FullName)] $($_.FullyQualifiedErrorId): $($_.Exception.Message)"
            Record = $_
        }
    }

    @{ Ok = $false; Text = 'nothing'; Record = $null }
}

# Answers true or false for every operator but -Throw.
function Test-Operator {
    param([string] $Operator, $Actual, $Expected)
    switch ($Operator) {
        'Be' { Test-Same $Actual $Expected $false }
        'BeExactly' { Test-Same $Actual $Expected $true }
        'BeTrue' { [bool]$Actual }
        'BeFalse' { -not $Actual }
        'BeNullOrEmpty' { $null -eq $Actual -or @($Actual).Count -eq 0 -or (@($Actual).Count -eq 1 -and "$Actual" -eq '') }
        'Match' { [bool]($Actual -match $Expected) }
        'MatchExactly' { [bool]($Actual -cmatch $Expected) }
        'BeLike' { [bool]($Actual -like $Expected) }
        'BeLikeExactly' { [bool]($Actual -clike $Expected) }
        'BeGreaterThan' { $Actual -gt $Expected }
        'BeGreaterOrEqual' { $Actual -ge $Expected }
        'BeLessThan' { $Actual -lt $Expected }
        'BeLessOrEqual' { $Actual -le $Expected }
        'Contain' { @($Actual) -contains $Expected }
        'BeIn' { @($Expected) -contains $Actual }
        'HaveCount' { @($Actual).Count -eq $Expected }
        'BeOfType' { $Actual -is $Expected }
        'Exist' { [bool]($ExecutionContext.InvokeProvider.Item.Exists([string]$Actual)) }
        default { throw [ArgumentException]::new("Should has no operator -$Operator here") }
    }
}

function Should {
    [CmdletBinding()]
    param(
        [Parameter(ValueFromPipeline)] $ActualValue,
        [Parameter(Position = 0)] [Alias('ExpectedType', 'RegularExpression', 'ExpectedMessage')] [AllowNull()] $ExpectedValue,
        [Parameter(Position = 1)] [string] $ErrorId,
        [type] $ExceptionType,
        [string] $Because,
        [switch] $Not, [switch] $PassThru,
        [Alias('EQ')] [switch] $Be, [Alias('CEQ')] [switch] $BeExactly, [switch] $BeTrue, [switch] $BeFalse, [switch] $BeNullOrEmpty,
        [switch] $Match, [Alias('CMATCH')] [switch] $MatchExactly, [Alias('LIKE')] [switch] $BeLike, [switch] $BeLikeExactly,
        [Alias('GT')] [switch] $BeGreaterThan, [Alias('GE')] [switch] $BeGreaterOrEqual,
        [Alias('LT')] [switch] $BeLessThan, [Alias('LE')] [switch] $BeLessOrEqual,
        [switch] $Contain, [switch] $BeIn, [switch] $HaveCount,
        [Alias('HaveType')] [switch] $BeOfType, [switch] $Exist, [switch] $Throw
    )
    begin {
        $piped = [Collections.Generic.List[object]]::new()
    }
    process {
        if ($MyInvocation.ExpectingInput) {
            $piped.Add($ActualValue)
        }
    }
    end {
        $actual = -not $MyInvocation.ExpectingInput ? $ActualValue : $piped.Count -eq 1 ? $piped[0] : $piped.Count -eq 0 ? $null : $piped.ToArray()
        # An empty pipe has no item, which is not the item $null.
        if ($MyInvocation.ExpectingInput -and $piped.Count -eq 0) {
            $actual = @()
        }

        $operator = @($PSBoundParameters.Keys | Where-Object { $_ -notin 'ActualValue', 'ExpectedValue', 'ErrorId', 'ExceptionType', 'Because', 'Not', 'PassThru' })
        if ($operator.Count -ne 1) {
            throw [ArgumentException]::new("Should needs one operator, not '$operator'")
        }

        $reason = $Because ? ", because $($Because -replace '^because ')," : ''
        $negation = $Not ? ' not' : ''
        if ($Throw) {
            $thrown = Test-Throws $actual $ExpectedValue $ErrorId $ExceptionType
            if ($thrown.Ok -eq [bool]$Not) {
                $what = @($ExceptionType ? "[$ExceptionType]" : $null; $ErrorId; $ExpectedValue) | Where-Object { $_ }
                throw [SpecAssertionException]::new("Expected the block$negation to throw $($what -join ' ')$reason but it threw $($thrown.Text)")
            }

            if ($PassThru) {
                $thrown.Record
            }

            return
        }

        if ([bool](Test-Operator $operator[0] $actual $ExpectedValue) -eq [bool]$Not) {
            $expected = $PSBoundParameters.ContainsKey('ExpectedValue') ? " $(Format-Value $ExpectedValue)" : ''
            throw [SpecAssertionException]::new("Expected$negation -$operator$expected$reason but got $(Format-Value $actual)")
        }
    }
}
