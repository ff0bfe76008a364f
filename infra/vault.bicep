// The secret app settings. An app setting refers to its secret by version, so that a new value is read at once.
param name string
param location string = resourceGroup().location
@secure()
param secrets object

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

resource authToken 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  parent: vault
  name: 'TWILIO-AUTH-TOKEN'
  properties: { value: secrets.TWILIO_AUTH_TOKEN }
}

resource authTokenSecondary 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (!empty(secrets.TWILIO_AUTH_TOKEN_SECONDARY)) {
  parent: vault
  name: 'TWILIO-AUTH-TOKEN-SECONDARY'
  properties: { value: secrets.TWILIO_AUTH_TOKEN_SECONDARY }
}

resource apiSecret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (!empty(secrets.TWILIO_API_SECRET)) {
  parent: vault
  name: 'TWILIO-API-SECRET'
  properties: { value: secrets.TWILIO_API_SECRET }
}

resource conferenceRooms 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (!empty(secrets.CONFERENCE_ROOMS)) {
  parent: vault
  name: 'CONFERENCE-ROOMS'
  properties: { value: secrets.CONFERENCE_ROOMS }
}

resource erasureKey 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (!empty(secrets.ERASURE_KEY)) {
  parent: vault
  name: 'ERASURE-KEY'
  properties: { value: secrets.ERASURE_KEY }
}

output name string = vault.name
#disable-next-line outputs-should-not-contain-secrets // it says where they are, not what
output references object = {
  TWILIO_AUTH_TOKEN: '@Microsoft.KeyVault(SecretUri=${authToken.properties.secretUriWithVersion})'
  TWILIO_AUTH_TOKEN_SECONDARY: empty(secrets.TWILIO_AUTH_TOKEN_SECONDARY) ? '' : '@Microsoft.KeyVault(SecretUri=${authTokenSecondary!.properties.secretUriWithVersion})'
  TWILIO_API_SECRET: empty(secrets.TWILIO_API_SECRET) ? '' : '@Microsoft.KeyVault(SecretUri=${apiSecret!.properties.secretUriWithVersion})'
  CONFERENCE_ROOMS: empty(secrets.CONFERENCE_ROOMS) ? '' : '@Microsoft.KeyVault(SecretUri=${conferenceRooms!.properties.secretUriWithVersion})'
  ERASURE_KEY: empty(secrets.ERASURE_KEY) ? '' : '@Microsoft.KeyVault(SecretUri=${erasureKey!.properties.secretUriWithVersion})'
}
