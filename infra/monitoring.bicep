// Logs, and the alerts that matter: docs/operations.md says what each means and what to do.
param name string
param location string = resourceGroup().location
param alertEmail string

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: name
  location: location
  properties: { retentionInDays: 30, sku: { name: 'PerGB2018' } }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: name
  location: location
  kind: 'web'
  properties: { Application_Type: 'web', DisableLocalAuth: true, WorkspaceResourceId: workspace.id }
}

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(alertEmail)) {
  name: 'switchboard-operators'
  location: 'global'
  properties: {
    enabled: true
    groupShortName: 'switchboard'
    emailReceivers: [{ name: 'operators', emailAddress: alertEmail, useCommonAlertSchema: true }]
  }
}

// The host counts a run that answered 5xx as a success: what fails is told by resultCode as well.
// Each fires when its query has a row. Looking more often costs more: only the timer's silence is urgent.
var rules = [
  {
    name: 'dead-letters'
    severity: 2
    description: 'A queued call was given up, or a file of messages stopped loading: python -m ops deadletters list'
    query: 'traces | where message startswith "dead letter" or message has "has stopped at"'
  }
  {
    name: 'drain-silent'
    severity: 1
    description: 'The timer has finished no run for 10 minutes: scheduled messages wait.'
    query: 'requests | where name =~ "send_due_sms" and success == true | summarize runs = count() | where runs == 0'
  }
  {
    name: 'failures'
    severity: 2
    description: 'More than one run in twenty fails; callers who were refused do not count.'
    query: 'requests | summarize runs = count(), failed = countif(resultCode startswith "5" or (success == false and resultCode !startswith "4")) | where runs >= 20 and failed * 20 > runs'
  }
  {
    name: 'held'
    severity: 1
    description: 'Twilio refuses our credentials, number or account: messages wait until that is mended.'
    query: 'traces | where message has "is held" or message startswith "the drain stops"'
  }
  {
    name: 'unresolved'
    severity: 2
    description: 'A message or call may or may not have left, and nothing more will tell: a person decides.'
    query: 'traces | where message has "is unresolved"'
  }
  {
    name: 'twice'
    severity: 1
    description: 'One message or call has two SIDs at Twilio. That must never happen: report it.'
    query: 'traces | where message has "has two SIDs"'
  }
]

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: 'switchboard-${rule.name}'
  location: location
  kind: 'LogAlert'
  properties: {
    description: rule.description
    severity: rule.severity
    enabled: true
    scopes: [insights.id]
    evaluationFrequency: rule.name == 'drain-silent' ? 'PT5M' : 'PT15M'
    windowSize: rule.name == 'drain-silent' ? 'PT10M' : 'PT15M'
    criteria: {
      allOf: [{ query: rule.query, timeAggregation: 'Count', operator: 'GreaterThan', threshold: 0 }]
    }
    actions: { actionGroups: empty(alertEmail) ? [] : [operators.id] }
  }
}]

output name string = insights.name
output connectionString string = insights.properties.ConnectionString
