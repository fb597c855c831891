{{/* How many pods there are, and how many may go at once; of (dict "root" $ "role" "api" "values" .Values.api). */}}
{{- define "rowlock.scaling" -}}
{{- $name := printf "%s-%s" (include "rowlock.name" .root) .role }}
{{- if .values.autoscaling.enabled }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $name }}
  labels:
    {{- include "rowlock.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  minReplicas: {{ .values.autoscaling.minReplicas }}
  maxReplicas: {{ .values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .values.autoscaling.targetCPU }}}
  behavior:
    # A sale begins within a second and ends within minutes: up at once, down slowly.
    scaleUp:
      stabilizationWindowSeconds: 0
      policies:
        - {type: Percent, value: 100, periodSeconds: 15}
    scaleDown:
      stabilizationWindowSeconds: 600
      policies:
        - {type: Pods, value: 1, periodSeconds: 60}
{{- end }}
---
{{ include "rowlock.disruption" . }}
{{- end }}
{{/* How many pods may go at once when nodes are emptied; as above. */}}
{{- define "rowlock.disruption" -}}
{{- if .values.disruptionBudget.enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "rowlock.name" .root }}-{{ .role }}
  labels:
    {{- include "rowlock.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .values.disruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "rowlock.selector" . | nindent 6 }}
{{- end }}
{{- end }}
