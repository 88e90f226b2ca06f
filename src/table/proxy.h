/*
 * "proxy:type:name": the table behind is asked through the proxymap service, which is not
 * jailed and shares what it has open. Until table_proxy_configure was called (commands),
 * and for TABLE_TRUSTED tables (who delivers with a user's rights trusts no other
 * process), the table behind is opened by this process itself.
 *
 * A question needs a fiber. The service that is not there, or is lost, is trouble that
 * passes (TABLE_TRY_LATER), never absence. A table that proxymap may not serve is
 * TABLE_BROKEN, and its log says how to allow it.
 */
#ifndef TABLE_PROXY_H
#define TABLE_PROXY_H

#include <stdint.h>

struct table_proxy_options {
	const char *read_service, *write_service; /* names of rows; kept by the caller */
	int64_t timeout_ms, idle_ms, ttl_ms;
};

/* Once, at start of a service; the working directory is the queue directory, or will be
 * (in a jail) when the first question is asked. */
void table_proxy_configure(const struct table_proxy_options *options);

#endif
