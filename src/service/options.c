#include "service/service_private.h"

#include <getopt.h>
#include <stdarg.h>
#include <unistd.h>
#include "base/log.h"

struct parsing {
	struct service_options o;
	struct buf *error; /* the first fault */
};

static void PRINTF_LIKE(2, 3) fault(struct parsing *p, const char *format, ...)
{
	va_list args;
	if (p->error->len > 0)
		return;
	va_start(args, format);
	buf_vprintf(p->error, format, args);
	va_end(args);
}

static int64_t number(struct parsing *p, char option, int64_t max)
{
	int64_t value = 0;
	if (!str_to_range(str_of(optarg), 0, max, &value))
		fault(p, "bad value of option -%c: %.100s", option, optarg);
	return value;
}

static void add_override(struct parsing *p, const char *assignment)
{
	struct service_options *o = &p->o;
	if (o->override_count == SERVICE_OVERRIDES_MAX)
		fault(p, "more than %d options -o", SERVICE_OVERRIDES_MAX);
	else
		o->overrides[o->override_count++] = assignment;
}

static void take(struct parsing *p, int option)
{
	struct service_options *o = &p->o;
	switch (option) {
	case 'n':
		o->name = optarg;
		break;
	case 't':
		o->type = optarg;
		break;
	case 'o':
		add_override(p, optarg);
		break;
	case 'm':
		o->max_use = number(p, 'm', INT32_MAX);
		break;
	case 'i':
		o->max_idle = number(p, 'i', INT32_MAX);
		break;
	case 'L':
		o->limit = number(p, 'L', WIRE_EXCHANGES_MAX);
		break;
	case 's':
		o->listeners = number(p, 's', MASTER_LISTENERS_MAX);
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
	case 'V':
		o->log_to_stderr = true;
		break;
	case 'v':
		log_verbose(log_verbosity() + 1);
		break;
	case 'z': /* Postfix's master says "no limit", "alone" and "debugger" so */
	case 'l':
	case 'D':
		break;
	default:
		fault(p, "invalid option: -%c", optopt);
	}
}

/* What a service cannot do with its clients it must not be given. */
static void check_type(struct parsing *p, const struct service *s)
{
	struct str type = str_of(p->o.type);
	static const char *const streams[] = {"inet", "unix", "pass"};
	bool known = str_is(type, "unix-dgram");
	if (known != (s->datagram != NULL))
		fault(p, "service type %.100s is not one that %s can serve", p->o.type,
		    s->name);
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
		known = known || str_is(type, streams[i]);
	if (!known)
		fault(p, "unsupported transport type: %.100s", p->o.type);
}

void service_options_parse(const struct service *s, int argc, char **argv,
    struct service_options *o_r, struct buf *error)
{
	struct parsing p = {
	    .error = error,
	    .o =
		{
		    .name = s->name,
		    .type = s->datagram != NULL ? "unix-dgram" : "unix",
		    .max_use = -1,
		    .max_idle = -1,
		    .listeners = 1,
		},
	};
	int option;
	opterr = 0;
	while ((option = getopt(argc, argv, "+cdDi:lL:m:n:o:s:St:uvVz")) != -1)
		take(&p, option);
	p.o.attributes = argv + optind;
	if (optind < argc && !s->attributes)
		fault(&p, "unexpected argument: %.100s", argv[optind]);
	if (strlen(p.o.name) > WIRE_NAME_MAX) {
		fault(&p, "name of service is longer than %u: %.100s", WIRE_NAME_MAX,
		    p.o.name);
		p.o.name = s->name;
	}
	check_type(&p, s);
	*o_r = p.o;
}
