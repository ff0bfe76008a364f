// One account for messages, calls, queues and the package that the app runs from. It has no keys.
param name string
param location string = resourceGroup().location

var queueNames = ['outbound-calls', 'outbound-calls-poison', 'sms-drain', 'bulk-load', 'bulk-load-poison']
var tableNames = ['messages', 'calls', 'deadletters', 'bulk', 'limits']
var containerNames = ['packages', 'bulk']

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for container in containerNames: {
    name: '${account.name}/default/${container}'
  }
]

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [
  for queue in queueNames: {
    name: '${account.name}/default/${queue}'
  }
]

resource tables 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01' = [
  for table in tableNames: {
    name: '${account.name}/default/${table}'
  }
]

output name string = account.name
output packages string = '${account.properties.primaryEndpoints.blob}packages'
