#include "service/service_private.h"

#include <getopt.h>
#include <unistd.h>
#include "base/log.h"
#include "base/panic.h"

static int64_t number(const char *text, char option, int64_t max)
{
	int64_t value;
	if (!str_to_range(str_of(text), 0, max, &value))
		fatal("bad value of option -%c: %s", option, text);
	return value;
}

static void add_override(struct service_options *o, const char *assignment)
{
	if (o->override_count == SERVICE_OVERRIDES_MAX)
		fatal("more than %d options -o", SERVICE_OVERRIDES_MAX);
	o->overrides[o->override_count++] = assignment;
}

static void take(struct service_options *o, int option)
{
	switch (option) {
	case 'n':
		o->name = optarg;
		break;
	case 't':
		o->type = optarg;
		break;
	case 'o':
		add_override(o, optarg);
		break;
	case 'm':
		o->max_use = number(optarg, 'm', INT32_MAX);
		break;
	case 'i':
		o->max_idle = number(optarg, 'i', INT32_MAX);
		break;
	case 'L':
		o->limit = number(optarg, 'L', WIRE_EXCHANGES_MAX);
		break;
	case 's':
		o->listeners = number(optarg, 's', SERVICE_LISTENERS_MAX);
		break;
	case 'c':
		o->chroot = true;
		break;
	case 'u':
		o->drop = true;
		break;
	case 'd':
		o->by_hand = true;
		break;
	case 'S':
		o->stand_alone = true;
		break;
	case 'z':
		o->unlimited = true;
		break;
	case 'V':
		o->log_to_stderr = true;
		break;
	case 'v':
		log_verbose(log_verbosity() + 1);
		break;
	case 'l': /* Postfix's master says "alone" and "debugger" so */
	case 'D':
		break;
	default:
		fatal("invalid option: -%c", optopt);
	}
}

void service_options_parse(
    const struct service *s, int argc, char **argv, struct service_options *o_r)
{
	struct service_options o = {
	    .name = s->name,
	    .type = "unix",
	    .max_use = -1,
	    .max_idle = -1,
	    .listeners = 1,
	};
	int option;
	opterr = 0;
	while ((option = getopt(argc, argv, "cdDi:lL:m:n:o:s:St:uvVz")) != -1)
		take(&o, option);
	if (optind < argc)
		fatal("unexpected argument: %s", argv[optind]);
	if (strlen(o.name) > WIRE_NAME_MAX)
		fatal("name of service is longer than %u: %s", WIRE_NAME_MAX, o.name);
	if (!str_is(str_of(o.type), "inet") && !str_is(str_of(o.type), "unix") &&
	    !str_is(str_of(o.type), "pass"))
		fatal("unsupported transport type: %s", o.type);
	*o_r = o;
}
