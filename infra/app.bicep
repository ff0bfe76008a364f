// The function app on Flex Consumption: webhooks scale together, each queue and the timer by itself, all down to nothing.
param name string
param location string = resourceGroup().location
param identityId string
param clientId string
param storageName string
param packages string
param telemetry string
param alwaysReady int
@secure()
param settings object

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: name
  location: location
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: { 'azd-service-name': 'app' }
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    siteConfig: { minTlsVersion: '1.2' }
    functionAppConfig: {
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        alwaysReady: alwaysReady == 0 ? [] : [{ name: 'http', instanceCount: alwaysReady }]
        instanceMemoryMB: 2048
        maximumInstanceCount: 100
        // For Python the default is 1: a second caller during a webhook would be a second instance, and a cold
        // start. Measured (bench, webhooks_at_once): above 8 at once nothing is gained, and with 16 every caller
        // is still answered in well under a second. host.json's http limits do not raise it.
        triggers: { http: { perInstanceConcurrency: 16 } }
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packages
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
    }
  }
}

// Apart from the site, because PUBLIC_BASE_URL needs the host name that Azure gave it.
var publicBaseUrl = 'https://${site.properties.defaultHostName}'

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'appsettings'
  properties: union(settings, {
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${clientId};Authorization=AAD'
    APPLICATIONINSIGHTS_CONNECTION_STRING: telemetry
    AzureWebJobsDisableHomepage: 'true' // a stranger at / learns nothing of what runs here
    AzureWebJobsStorage__accountName: storageName
    AzureWebJobsStorage__clientId: clientId
    AzureWebJobsStorage__credential: 'managedidentity'
    PUBLIC_BASE_URL: publicBaseUrl
    SMS_SCHEDULE: '0 * * * * *'
  })
}

// Who may deploy is decided by Azure roles: no publishing password.
resource publishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: site
  name: 'scm'
  properties: { allow: false }
}

output name string = site.name
output publicBaseUrl string = publicBaseUrl
