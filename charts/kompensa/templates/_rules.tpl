{{/*
What the two processes may do, each rule with its reason. They are granted in the whole cluster or, with
watchNamespaces, in each of those namespaces. No rule has a wildcard, and nothing of ours lists or watches Secrets.
*/}}
{{- define "kompensa.operatorRules" -}}
# The objects that users write.
- apiGroups: [kompensa.dev]
  resources: [participants, sagadefinitions, sagas, outboxes, replicas]
  verbs: [get, list, watch]
- apiGroups: [kompensa.dev]
  resources: [participants/status, sagadefinitions/status, sagas/status, outboxes/status, replicas/status]
  verbs: [patch]
# A finished Saga whose ttlSecondsAfterFinished has passed.
- apiGroups: [kompensa.dev]
  resources: [sagas]
  verbs: [delete]
# The one finalizer there is: slot and connector go before their Outbox does.
- apiGroups: [kompensa.dev]
  resources: [outboxes]
  verbs: [patch]
# Logins and tokens that Outboxes and Participants name.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
  {{- with .Values.rbac.secretNames }}
  resourceNames: {{ toJson . }}
  {{- end }}
# A Replica's worker; it belongs to the Replica, so the garbage collector deletes it.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [create, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- define "kompensa.engineRules" -}}
# It writes how a Saga goes, and reads nothing: the operator tells it what to run.
- apiGroups: [kompensa.dev]
  resources: [sagas/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}
