// Logs, and the alerts that matter: docs/operations.md says what each means and what to do.
param name string
param location string = resourceGroup().location
param alertEmail string

// GB of logs a day, after which Azure keeps no more until the next: a fault that logs without end must not cost
// without end. An app that sends 100,000 texts a day logs less than 1 GB.
var dailyCap = 10

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: name
  location: location
  properties: {
    retentionInDays: 30
    sku: { name: 'PerGB2018' }
    workspaceCapping: { dailyQuotaGb: dailyCap }
  }
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

// Each alert fires when its query has a row. The host counts a run that answered 5xx as a success: what fails is
// told by resultCode as well. Looking more often costs more, and only the timer's silence is urgent.
// `over` is where the query looks: at the app's telemetry, or at the whole workspace, whose tables have other names.
// Once the daily cap is reached nothing more is logged, so a silent timer may be silent logs: the alert says which.
type Rule = {
  name: string
  severity: int
  description: string
  query: string
  over: 'app' | 'workspace'
  frequency: string?
  window: string?
  range: string?
  cause: bool?
}

var rules Rule[] = [
  {
    name: 'dead-letters'
    severity: 2
    description: 'A queued call was given up, or a file of messages stopped loading: python -m ops deadletters list'
    over: 'app'
    query: 'traces | where message startswith "dead letter" or message has "has stopped at"'
  }
  {
    name: 'drain-silent'
    severity: 1
    description: 'The timer has finished no run for 10 minutes, or logs are over their daily cap and nobody can tell: see `cause`.'
    over: 'workspace'
    frequency: 'PT5M'
    window: 'PT10M'
    range: 'P1D'
    query: '''
let capped = toscalar(_LogOperation | where Category =~ "Ingestion" and Detail contains "OverQuota" | summarize max(TimeGenerated));
AppRequests
| summarize runs = countif(Name =~ "send_due_sms" and Success == true and TimeGenerated > ago(10m)), last = max(TimeGenerated)
| where runs == 0
| project cause = iff(isnotnull(capped) and (isnull(last) or last < capped + 15m),
    "ingestion has stopped: logs are over their daily cap, and nothing is known of the timer",
    "the timer has finished no run for 10 minutes")
'''
    cause: true
  }
  {
    name: 'failures'
    severity: 2
    description: 'More than one run in twenty fails; callers who were refused do not count.'
    over: 'app'
    query: 'requests | summarize runs = count(), failed = countif(resultCode startswith "5" or (success == false and resultCode !startswith "4")) | where runs >= 20 and failed * 20 > runs'
  }
  {
    name: 'held'
    severity: 1
    description: 'Twilio refuses our credentials, number or account: messages wait until that is mended.'
    over: 'app'
    query: 'traces | where message has "is held" or message startswith "the drain stops"'
  }
  {
    name: 'unresolved'
    severity: 2
    description: 'A message or call may or may not have left, and nothing more will tell: a person decides.'
    over: 'app'
    query: 'traces | where message has "is unresolved"'
  }
  {
    name: 'logs-near-cap'
    severity: 2
    description: 'A day of logs comes close to the daily cap, after which no alert that reads logs can fire.'
    over: 'workspace'
    frequency: 'PT1H'
    window: 'PT1H'
    range: 'P1D'
    query: 'Usage | where IsBillable == true | summarize GB = sum(Quantity) / 1000 | where GB > ${dailyCap} * 0.8'
  }
  {
    name: 'twice'
    severity: 1
    description: 'One message or call has two SIDs at Twilio. That must never happen: report it.'
    over: 'app'
    query: 'traces | where message has "has two SIDs"'
  }
]

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: 'switchboard-${rule.name}'
    location: location
    kind: 'LogAlert'
    properties: {
      description: rule.description
      severity: rule.severity
      enabled: true
      scopes: [rule.over == 'workspace' ? workspace.id : insights.id]
      evaluationFrequency: rule.?frequency ?? 'PT15M'
      windowSize: rule.?window ?? 'PT15M'
      overrideQueryTimeRange: rule.?range
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: rule.?cause ?? false ? [{ name: 'cause', operator: 'Include', values: ['*'] }] : []
          }
        ]
      }
      actions: { actionGroups: empty(alertEmail) ? [] : [operators.id] }
    }
  }
]

output name string = insights.name
output connectionString string = insights.properties.ConnectionString
output workspaceId string = workspace.id
