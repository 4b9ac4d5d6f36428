# The containers of the task. No provider: they can be evaluated anywhere, offline.
locals {
  volume = "state"
  state  = "/var/lib/rotator"
  beat   = var.runs == "daemon" ? ["--tick", var.every] : []

  # The only file system that can be written: it ends with the task.
  mounted = [{ sourceVolume = local.volume, containerPath = local.state, readOnly = false }]

  logged = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = var.log_group
      awslogs-region        = var.region
      awslogs-stream-prefix = "rotator"
      mode                  = "non-blocking" # a log service that is away holds up no rotation
      max-buffer-size       = "25m"
    }
  }

  confined = {
    image                  = var.image
    user                   = "65532:65532"
    privileged             = false
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
    ulimits                = [{ name = "core", softLimit = 0, hardLimit = 0 }]
    mountPoints            = local.mounted
    logConfiguration       = local.logged
  }

  worker = merge(
    local.confined,
    {
      name        = "rotator"
      essential   = true
      command     = concat([var.runs], local.beat)
      stopTimeout = 90 # a worker ends its effects within 50 s of SIGTERM, and tells its last alarms
      environment = [
        for name, value in merge(var.environment, {
          ROTATOR_LEDGER           = var.ledger_url
          ROTATOR_AUDIT_KEY_SECRET = var.audit_key_secret_arn
        }) : { name = name, value = value }
      ]
      secrets = var.sentry_dsn_secret_arn == null ? [] : [
        { name = "SENTRY_DSN", valueFrom = var.sentry_dsn_secret_arn }
      ]
    },
    [
      for check in [{
        command = concat(["CMD", "rotator", "health"], local.beat), interval = 30, timeout = 10, retries = 3, startPeriod = 60
      }] : { healthCheck = check } if var.runs == "daemon" # a tick ends by itself
    ]...
  )
}

