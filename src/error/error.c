/*
 * error: fails every recipient with the text that is the next hop: "5.7.1 closed". As the
 * service `retry` it defers instead. Reads from strangers: nothing. Runs as mail_owner,
 * may be jailed.
 */
#include <string.h>

#include "base/log.h"
#include "deliver/delivery.h"
#include "error_params.h"
#include "mail/dsn.h"
#include "service/owner.h"
#include "service/service.h"

static struct error_params params;

/* A code of another class than what becomes of the mail says nothing. */
static void take_code(struct str given, bool later, char code[DSN_STATUS_MAX])
{
	if (given.p[0] == code[0] && str_to_cstr(given, code, DSN_STATUS_MAX))
		return;
	log_warning("%s: ignoring dsn code \"%.*s\"",
	    later ? "defer_append" : "bounce_append", STR_ARG(given));
}

static void fail_all(struct delivery *d)
{
	struct str text = d->request.nexthop;
	size_t status = dsn_status_at(text);
	char code[DSN_STATUS_MAX] = "5.0.0";
	bool later = strcmp(service_name(), "retry") == 0;
	if (later)
		code[0] = '4';
	if (status > 0) {
		take_code(str_slice(text, 0, status), later, code);
		text = str_trim(str_skip(text, status));
	}
	struct why why;
	why_init(&why);
	(void)(later ? why_later : why_never)(&why, code, "%.*s", STR_ARG(text));
	delivery_failed_rest(d, STR("none"), &why);
	why_free(&why);
}

static void exchange(struct ipc_exchange *x)
{
	delivery_serve(x, "none", fail_all);
}

static void before_jail(void)
{
	delivery_before_jail(service_common());
}

static void started(void)
{
	delivery_open(service_common(), owner_of(service_common()).uid);
}

static const struct service error_service = {
    .name = "error",
    .params = error_param_table,
    .values = &params,
    .sandbox = SANDBOX_QUEUE,
    .before_jail = before_jail,
    .started = started,
    .exchange = exchange,
};

int main(int argc, char **argv)
{
	return service_main(&error_service, argc, argv);
}
