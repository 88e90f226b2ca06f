/*
 * postkick: wakes a service of the mail system, for scripts. What Postfix sends as
 * letters is said in the inner protocol: qmgr understands I, D, A, F and W; to all others
 * any request is a wakeup. Runs as whoever calls it: the directories of the sockets
 * decide who may. Nothing is lost if it dies.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "client/qmgr_client.h"
#include "client/service_client.h"
#include "ipc/wire.h"
#include "run/loop.h"
#include "service/command.h"

#define WAIT_MS 10000

static const struct command command = {.name = "postkick", .fatal_status = 1};

struct kick {
	const char *class, *service, *request;
	int error;
};

NORETURN static void usage(void)
{
	fatal("usage: postkick [-c config_dir] [-v] class service request");
}

static uint32_t qmgr_flags(const char *request)
{
	static const struct {
		char letter;
		uint32_t flag;
	} known[] = {
	    {'A', QMGR_SCAN_ALL},
	    {'D', QMGR_SCAN_DEFERRED},
	    {'F', QMGR_FLUSH_DEAD},
	    {'I', QMGR_SCAN_INCOMING},
	    {'W', QMGR_SCAN_INCOMING},
	};
	uint32_t flags = 0;
	for (const char *p = request; *p != '\0'; p++) {
		size_t i = 0;
		while (i < ARRAY_SIZE(known) && known[i].letter != *p)
			i++;
		if (i < ARRAY_SIZE(known))
			flags |= known[i].flag;
		else
			log_warning("request \"%c\" ignored", *p);
	}
	return flags;
}

static int wake(struct ipc_client *client, int64_t deadline)
{
	struct ipc_exchange *x = NULL;
	int error = ipc_open(client, deadline, &x);
	if (error == 0)
		error = ipc_send(x, WIRE_TYPE_WAKEUP, STR_EMPTY, IPC_LAST, deadline);
	ipc_flush();
	ipc_end(x);
	return error;
}

static void kick(void *argument)
{
	struct kick *k = argument;
	const struct common_params *common = command_common();
	struct ipc_client *client = service_client_new(common, k->class, k->service);
	int64_t deadline = deadline_after_ms(WAIT_MS);
	if (strcmp(k->service, common->queue_service_name) == 0)
		k->error = qmgr_trigger_send(client, qmgr_flags(k->request), deadline);
	else if (strcmp(k->service, common->pickup_service_name) == 0)
		k->error = pickup_wake_send(client, deadline);
	else
		k->error = wake(client, deadline);
	ipc_client_free(client);
}

int main(int argc, char **argv)
{
	static char name[] = "postkick";
	const char *directory = NULL;
	int option;
	log_stderr_name(name);
	fatal_exit_status(command.fatal_status);
	if (argc > 0)
		argv[0] = name; /* getopt shows it */
	while ((option = getopt(argc, argv, "c:v")) >= 0) {
		if (option == 'c')
			directory = optarg;
		else if (option == 'v')
			log_verbose(log_verbosity() + 1);
		else
			usage();
	}
	if (argc - optind != 3)
		usage();
	command_start(&command, directory);
	command_enter_queue();
	struct kick k = {argv[optind], argv[optind + 1], argv[optind + 2], 0};
	run_init();
	run_main(kick, &k);
	if (k.error != 0) {
		log_warning("unable to look up %s/%s: %s", k.class, k.service,
		    strerror(-k.error));
		log_warning(
		    "Cannot contact class %s service %s - perhaps the mail system "
		    "is down",
		    k.class, k.service);
	}
	log_flush();
	return k.error != 0;
}
