// The secret app settings. An app setting refers to its secret by version, so that a new value is read at once.
param name string
param location string = resourceGroup().location
@description('Where the audit log goes: who read which secret, and when.')
param workspaceId string
@secure()
@description('The value of each secret, by the name of its app setting.')
param secrets object
@description('The names of the secret app settings.')
param names array
@description('Those of them that have a value. The others get no secret, and an empty app setting.')
param given array

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
  }
}

resource stored 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = [
  for setting in names: if (contains(given, setting)) {
    parent: vault
    name: replace(setting, '_', '-')
    properties: { value: secrets[setting] }
  }
]

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'audit', enabled: true }]
  }
}

output name string = vault.name
output references array = [
  for (setting, index) in names: {
    name: setting
    reference: contains(given, setting)
      ? '@Microsoft.KeyVault(SecretUri=${stored[index]!.properties.secretUriWithVersion})'
      : ''
  }
]
