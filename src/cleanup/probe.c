/* A probe of an address that stands for several: it is deliverable, and none of them is
 * asked. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cleanup/cleanup.h"
#include "client/service_client.h"
#include "client/verify_client.h"
#include "mail/log_lines.h"

static const struct str answer = {"aliased to multiple recipients", 30};

static void log_answer(const struct message *m, struct str address)
{
	struct timeval now = clock_wall();
	int64_t since = ((int64_t)now.tv_sec - m->envelope.arrival_seconds) * 1000000 +
	    (now.tv_usec - (int64_t)m->envelope.arrival_microseconds);
	log_delivery(&(struct log_delivery){.queue_id = str_of(m->id),
	    .recipient = address,
	    .relay = STR("none"),
	    .delays = {.before_qmgr = since > 0 ? since : 0},
	    .status = STR("2.0.0"),
	    .word = "deliverable",
	    .text = answer});
}

void probe_answer(struct message *m, struct str address)
{
	struct verify_update update = {
	    .address = address, .status = VERIFY_DELIVERABLE, .text = answer};
	int error = verify_client_update(
	    cleanup.verify, &update, service_client_deadline(service_common()));
	if (error != 0)
		log_warning("%s: verify service: %s", m->id, strerror(-error));
	log_answer(m, address);
}
