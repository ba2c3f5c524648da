@{
    RootModule           = 'CriuPS.Cmdlets.dll'
    ModuleVersion        = '0.1.0'
    GUID                 = '4b1c7f1e-6d0a-4a55-9f55-6f1f6d3c9a27'
    Author               = 'The CriuPS developers'
    CompanyName          = 'CriuPS'
    Copyright            = '(c) The CriuPS developers. GPL-2.0-only.'
    Description          = 'Checkpoint a running Linux process tree to image files and restore it later, in the format of CRIU.'
    PowerShellVersion    = '7.6'
    CompatiblePSEditions = @('Core')

    FormatsToProcess     = @('CriuPS.format.ps1xml', 'CriuPS.images.format.ps1xml', 'CriuPS.process.format.ps1xml', 'CriuPS.check.format.ps1xml')
    CmdletsToExport      = @(
        'Get-CriuCpuInfo'
        'Get-CriuImage'
        'Get-CriuProcessTree'
        'Invoke-CriuDump'
        'Invoke-CriuRestore'
        'Test-CriuCpuInfo'
        'Test-CriuKernel'
    )
    FunctionsToExport    = @()
    AliasesToExport      = @()
    VariablesToExport    = @()

    PrivateData          = @{
        PSData = @{
            Tags         = @('CRIU', 'checkpoint', 'restore', 'migration', 'Linux', 'PSEdition_Core')
            ReleaseNotes = 'Checkpoint and restore of one process with any number of threads.'
        }
    }
}
