#include "client/service_client.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/panic.h"

struct ipc_client *service_client_new(
    const struct common_params *common, const char *directory, const char *name)
{
	char path[256];
	int len = snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (len < 0 || (size_t)len >= sizeof(path))
		fatal("name of service is too long: %s", name);
	struct ipc_client_options options = {
	    .idle_ms = common->ipc_idle * 1000,
	    .ttl_ms = common->ipc_ttl * 1000,
	    .timeout_ms = common->ipc_timeout * 1000,
	};
	return ipc_client_new(path, name, &options);
}

int64_t service_client_deadline(const struct common_params *common)
{
	return deadline_after_seconds(common->ipc_timeout);
}
