// Switchboard in Azure. `azd up` deploys it; docs/operations.md says how to run it.
targetScope = 'subscription'

@description('The azd environment: names the resource group.')
param environmentName string
@description('A region that has Flex Consumption, as in Microsoft\'s quickstart; az functionapp list-flexconsumption-locations')
@allowed([
  'australiaeast'
  'australiasoutheast'
  'brazilsouth'
  'canadacentral'
  'centralindia'
  'centralus'
  'eastasia'
  'eastus'
  'eastus2'
  'francecentral'
  'germanywestcentral'
  'italynorth'
  'japaneast'
  'koreacentral'
  'northcentralus'
  'northeurope'
  'norwayeast'
  'southafricanorth'
  'southcentralus'
  'southeastasia'
  'southindia'
  'spaincentral'
  'swedencentral'
  'uaenorth'
  'uksouth'
  'ukwest'
  'westcentralus'
  'westeurope'
  'westus'
  'westus2'
  'westus3'
])
param location string
@description('Object id of whoever deploys: may use the queues, read the tables and read the secrets. Empty: nobody.')
param principalId string = ''

@description('Account SID, from the Twilio console.')
param twilioAccountSid string
@description('Your Twilio number, in E.164: +12025550100')
param twilioFromNumber string
@secure()
@description('The other app settings, by name. The preprovision hook gathers them; some hold people\'s numbers.')
param settings object = {}

// A secret setting is a parameter of its own: azd fetches what `azd env set-secret` refers to for such alone.
@secure()
@description('Auth token, from the Twilio console. Webhooks are verified with it, so an API key cannot stand in for it.')
param twilioAuthToken string
@secure()
param twilioAuthTokenSecondary string = ''
@secure()
param twilioApiSecret string = ''
@secure()
param conferenceRooms string = ''
@secure()
param erasureKey string = ''

@description('Instances that keep webhooks warm, each billed all day. 0: the first caller after a pause waits for a start.')
param alwaysReady int = 0
@description('Where alerts are mailed. Empty: the portal alone shows them.')
param alertEmail string = ''

var name = 'switchboard-${uniqueString(group.id)}'
var secrets = {
  CONFERENCE_ROOMS: conferenceRooms
  ERASURE_KEY: erasureKey
  TWILIO_API_SECRET: twilioApiSecret
  TWILIO_AUTH_TOKEN: twilioAuthToken
  TWILIO_AUTH_TOKEN_SECONDARY: twilioAuthTokenSecondary
}

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'switchboard-${environmentName}'
  location: location
  tags: { 'azd-env-name': environmentName }
}

module storage 'storage.bicep' = {
  scope: group
  params: { name: replace(name, '-', '') }
}

module monitoring 'monitoring.bicep' = {
  scope: group
  params: { name: name, alertEmail: alertEmail }
}

module vault 'vault.bicep' = {
  scope: group
  params: {
    name: 'vault-${uniqueString(group.id)}'
    workspaceId: monitoring.outputs.workspaceId
    secrets: secrets
    names: objectKeys(secrets)
    given: filter(objectKeys(secrets), key => !empty(secrets[key]))
  }
}

module access 'access.bicep' = {
  scope: group
  params: {
    name: name
    principalId: principalId
    storageName: storage.outputs.name
    vaultName: vault.outputs.name
    insightsName: monitoring.outputs.name
  }
}

module app 'app.bicep' = {
  scope: group
  params: {
    name: name
    identityId: access.outputs.identityId
    clientId: access.outputs.clientId
    storageName: storage.outputs.name
    packages: storage.outputs.packages
    telemetry: monitoring.outputs.connectionString
    alwaysReady: alwaysReady
    settings: union(settings, toObject(vault.outputs.references, each => each.name, each => each.reference), {
      TWILIO_ACCOUNT_SID: twilioAccountSid
      TWILIO_FROM_NUMBER: twilioFromNumber
    })
  }
}

// azd keeps these in its environment, where `python -m ops` finds them. No secret may be among them.
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_APP_NAME string = app.outputs.name
output AZURE_KEY_VAULT_NAME string = vault.outputs.name
output AZURE_STORAGE_ACCOUNT_NAME string = storage.outputs.name
output PUBLIC_BASE_URL string = app.outputs.publicBaseUrl
output TWILIO_ACCOUNT_SID string = twilioAccountSid
output TWILIO_FROM_NUMBER string = twilioFromNumber
