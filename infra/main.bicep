// Switchboard in Azure. `azd up` deploys it; docs/operations.md says how to run it.
targetScope = 'subscription'

@description('The azd environment: names the resource group.')
param environmentName string
@description('A region with Flex Consumption: az functionapp list-flexconsumption-locations')
param location string
@description('Object id of whoever deploys: may drop messages on the queues and read the tables. Empty: nobody.')
param principalId string = ''

@description('Account SID, from the Twilio console.')
param twilioAccountSid string
@secure()
@description('Auth token, from the Twilio console. Webhooks are verified with it, so an API key cannot stand in for it.')
param twilioAuthToken string
@description('Your Twilio number, in E.164: +12025550100')
param twilioFromNumber string
@description('Optional app settings by name; an empty one counts as not set.')
param settings object
@secure()
@description('Optional secret app settings by name, kept in the vault; an empty one is left out.')
param secrets object

@description('Instances that keep webhooks warm, each billed all day. 0: the first caller after a pause waits for a start.')
param alwaysReady int = 0
@description('Where alerts are mailed. Empty: the portal alone shows them.')
param alertEmail string = ''

var name = 'switchboard-${uniqueString(group.id)}'

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'switchboard-${environmentName}'
  location: location
  tags: { 'azd-env-name': environmentName }
}

module storage 'storage.bicep' = {
  scope: group
  params: { name: replace(name, '-', '') }
}

module vault 'vault.bicep' = {
  scope: group
  params: {
    name: 'vault-${uniqueString(group.id)}'
    secrets: union(secrets, { TWILIO_AUTH_TOKEN: twilioAuthToken })
  }
}

module monitoring 'monitoring.bicep' = {
  scope: group
  params: { name: name, alertEmail: alertEmail }
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
    settings: union(settings, vault.outputs.references, {
      TWILIO_ACCOUNT_SID: twilioAccountSid
      TWILIO_FROM_NUMBER: twilioFromNumber
    })
  }
}

// azd keeps these in its environment, where `python -m ops` finds them.
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_APP_NAME string = app.outputs.name
output AZURE_STORAGE_ACCOUNT_NAME string = storage.outputs.name
output PUBLIC_BASE_URL string = app.outputs.publicBaseUrl
