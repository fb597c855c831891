{{/*
Pods that serve nobody, of (dict "root" $ "role" "worker" "values" .Values.worker "metricsPort" 9564 "replicas" …). They
have no probe: one that fails ends and is started again, and what it had begun is found in the database by the next.
*/}}
{{- define "rowlock.workers" -}}
{{- $root := .root }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "rowlock.name" $root }}-{{ .role }}
  labels:
    {{- include "rowlock.labels" . | nindent 4 }}
spec:
  {{- with .replicas }}
  replicas: {{ . }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "rowlock.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "rowlock.labels" . | nindent 8 }}
      {{- include "rowlock.podAnnotations" (dict "root" $root "port" .metricsPort) | nindent 6 }}
    spec:
      {{- include "rowlock.podSecurity" . | nindent 6 }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- include "rowlock.spread" . | nindent 6 }}
      # A worker lets what it has begun end for ten seconds.
      terminationGracePeriodSeconds: 20
      containers:
        - name: {{ .role }}
          image: {{ include "rowlock.image" (dict "root" $root "image" $root.Values.image) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [{{ .role }}]
          env:
            {{- include "rowlock.environment" (dict "root" $root "more" .values.settings) | nindent 12 }}
          ports:
            - {name: metrics, containerPort: {{ .metricsPort }}}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          {{- include "rowlock.containerSecurity" . | nindent 10 }}
          volumeMounts:
            {{- include "rowlock.mounts" $root | nindent 12 }}
      volumes:
        {{- include "rowlock.volumes" $root | nindent 8 }}
      {{- with .values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}
