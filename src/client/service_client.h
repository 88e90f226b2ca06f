/* A client of a service of this mail system, with the times that main.cf gives. */
#ifndef CLIENT_SERVICE_CLIENT_H
#define CLIENT_SERVICE_CLIENT_H

#include "common_params.h"
#include "ipc/ipc.h"

#define SERVICE_PRIVATE "private"
#define SERVICE_PUBLIC  "public"

/* `directory` is one of the above, `name` a row of master.cf. The working directory is
 * the queue directory. Never NULL; trouble shows at the first exchange. */
struct ipc_client *service_client_new(
    const struct common_params *common, const char *directory, const char *name);

/* How long a caller waits for an answer before it gives up (ipc_timeout). */
int64_t service_client_deadline(const struct common_params *common);

#endif
