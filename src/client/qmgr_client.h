/* Telling qmgr (and pickup) that there is work. */
#ifndef CLIENT_QMGR_CLIENT_H
#define CLIENT_QMGR_CLIENT_H

#include "ipc/ipc.h"
#include "message/pickup.h"
#include "message/qmgr.h"
#include "queue/commit_slots.h"

struct qmgr_client;

struct qmgr_client *qmgr_client_new(struct ipc_client *ipc);
/* Never waits: ids of one loop turn go out in one frame, from a fiber of our own. A lost
 * announcement of a message in incoming is found by qmgr's next scan; one without a name
 * is `late` after a while and announced again. */
void qmgr_client_announce(
    struct qmgr_client *c, const struct commit_message *m, bool late);
/* Announcements are still on their way: the process must not end yet. */
bool qmgr_client_busy(const struct qmgr_client *c);
/* Messages waiting in incoming at qmgr's last answer. */
uint32_t qmgr_client_backlog(const struct qmgr_client *c);
/* From a fiber. 0 or -errno: the mail system is down. */
MUST_USE int qmgr_trigger_send(struct ipc_client *ipc, uint32_t flags, int64_t deadline);
MUST_USE int pickup_wake_send(struct ipc_client *ipc, int64_t deadline);

#endif
