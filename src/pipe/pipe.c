/*
 * pipe: hands messages to the command of its row in master.cf.
 *
 * Reads from strangers: addresses, the output of the command, and, through queue files,
 * message content, in a child with the rights of user=. Runs with effective uid
 * mail_owner; root is effective only around fork. Must not be jailed. One client a
 * process. If it died while the command runs, the message would be delivered again.
 */
#include "base/log.h"
#include "base/panic.h"
#include "deliver/command.h"
#include "pipe/arguments.h"
#include "pipe_params.h"
#include "service/command_row.h"
#include "service/owner.h"
#include "service/service.h"

#define SHOWN_OUTPUT 100 /* bytes of it behind "delivered via" */

static struct {
	struct pipe_params params;
	struct pipe_attributes attributes;
	struct command_row row;
} state = {.attributes = {.eol = "\n"}};

static const struct {
	enum pipe_flag flag;
	unsigned copy;
} copy_flags[] = {
    {PIPE_BLANK_END, COPY_BLANK_END},
    {PIPE_DELIVERED_TO, COPY_DELIVERED_TO},
    {PIPE_FROM_LINE, COPY_FROM_LINE},
    {PIPE_ORIGINAL_TO, COPY_ORIGINAL_TO},
    {PIPE_RETURN_PATH, COPY_RETURN_PATH},
    {PIPE_DOTS, COPY_STUFF_DOTS},
    {PIPE_QUOTE_FROM, COPY_QUOTE_FROM},
};

static struct message_style style_of(const struct pipe_attributes *a)
{
	struct message_style style = {.eol = a->eol,
	    .null_sender = a->null_sender != NULL ? a->null_sender : "MAILER-DAEMON"};
	for (size_t i = 0; i < ARRAY_SIZE(copy_flags); i++)
		if (a->flags & copy_flags[i].flag)
			style.flags |= copy_flags[i].copy;
	return style;
}

/* With Delivered-To: who is named there already gets it round and round. */
static bool is_loop(struct delivery *d, size_t index, struct why *why)
{
	struct delivered_to fields = {false, false};
	struct str address = d->recipients[index].request->address;
	int error = message_delivered_to(d, address, &fields);
	if (error != 0)
		(void)why_system(why, -error, "read message header");
	else if (fields.found)
		(void)why_never(
		    why, "5.4.6", "mail forwarding loop for %.*s", STR_ARG(address));
	return error != 0 || fields.found;
}

static bool may_go(struct delivery *d, struct why *why)
{
	const struct pipe_attributes *a = &state.attributes;
	if (a->size > 0 && d->request.size > a->size)
		return why_never(why, "5.2.3", "message too large");
	for (size_t i = 0; (a->flags & PIPE_DELIVERED_TO) && i < d->count; i++)
		if (is_loop(d, i, why))
			return false;
	return true;
}

static bool run(struct delivery *d, struct buf *output, struct why *why)
{
	const struct pipe_attributes *a = &state.attributes;
	const struct common_params *common = service_common();
	CLEANUP(buf_free) struct buf error = BUF_INIT(4096);
	const struct pipe_context context = {.delivery = d,
	    .attributes = a,
	    .argv = state.row.argv,
	    .rules = service_extension_rules()};
	struct command command = {
	    .argv = pipe_arguments(&context, &error),
	    .environment =
		command_environment(d->arena, common->export_environment, NULL),
	    .program = "pipe",
	    .title = "pipe_command: execvp",
	    .user = {.uid = state.row.uid,
		.gid = state.row.gid,
		.switch_ids = state.row.switch_ids},
	    .root = a->root,
	    .directory = a->directory,
	    .style = style_of(a),
	    .seconds = state.row.seconds,
	};
	if (command.argv == NULL || command.environment == NULL) {
		log_warning("file %s/master.cf: service %s: %s",
		    conf_directory(service_conf()), service_name(), buf_cstr(&error));
		return why_later(why, "4.3.5", "mail system configuration error");
	}
	command.shown = command.argv[0];
	return command_run(d, 0, &command, output, why);
}

static void tell_success(struct delivery *d, const struct buf *output)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(1024);
	struct str shown = str_slice(str_trim(buf_str(output)), 0, SHOWN_OUTPUT);
	if (d->request.flags & DELIVERY_VERIFY)
		buf_printf(&text, "delivers to command: %s", state.row.argv[0]);
	else
		buf_printf(&text, "delivered via %s service", service_name());
	if (shown.len > 0)
		buf_printf(&text, " (%.*s)", STR_ARG(shown));
	for (size_t i = 0; i < d->count; i++)
		delivery_sent(d, i, STR_EMPTY, 0, "2.0.0", buf_str(&text));
}

static void deliver(struct delivery *d)
{
	CLEANUP(buf_free) struct buf output = BUF_INIT(COMMAND_OUTPUT_MAX);
	bool probe = (d->request.flags & DELIVERY_VERIFY) != 0;
	struct why why;
	why_init(&why);
	d->success = state.attributes.flags & PIPE_FINAL ? "delivered" : "relayed";
	if (may_go(d, &why) && (probe || run(d, &output, &why)))
		tell_success(d, &output);
	else
		delivery_failed_rest(d, STR_EMPTY, &why);
	why_free(&why);
}

static void exchange(struct ipc_exchange *x)
{
	delivery_serve(x, service_name(), deliver);
}

static bool take_attribute(const char *word, struct buf *error)
{
	return pipe_attributes_take(&state.attributes, word, error);
}

static void before_jail(void)
{
	state.row = command_row_read(state.params.command_time_limit, take_attribute);
	delivery_before_jail(service_common());
	delivery_filter(
	    "pipe_delivery_status_filter", state.params.pipe_delivery_status_filter);
}

static void started(void)
{
	delivery_open(service_common(), owner_of(service_common()).uid);
}

static const struct service pipe_service = {
    .name = "pipe",
    .params = pipe_param_table,
    .values = &state.params,
    .sandbox = SANDBOX_ROOT,
    .root = true,
    .no_threads = true,
    .attributes = true,
    .before_jail = before_jail,
    .started = started,
    .exchange = exchange,
    .stale = delivery_filter_changed,
};

int main(int argc, char **argv)
{
	return service_main(&pipe_service, argc, argv);
}
