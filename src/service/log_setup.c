#include "service/log_setup.h"

#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/log.h"
#include "base/panic.h"
#include "service/log_relay.h"

#define ERROR_MAX 8192

/* False: not octal, or more than 0777. */
static bool parse_mode(const char *text, mode_t *mode_r)
{
	mode_t mode = 0;
	for (; *text >= '0' && *text <= '7' && mode <= 0777; text++)
		mode = mode * 8 + (mode_t)(*text - '0');
	if (*text != '\0' || mode > 0777)
		return false;
	*mode_r = mode;
	return true;
}

/* Owner's choice of rights for the file (maillog_file_permissions). */
static void set_permissions(const struct common_params *common)
{
	struct stat status;
	mode_t mode;
	if (!parse_mode(common->maillog_file_permissions, &mode))
		return;
	if (stat(common->maillog_file, &status) == 0 && S_ISREG(status.st_mode) &&
	    (status.st_mode & 0777) != mode && chmod(common->maillog_file, mode) != 0)
		log_debug("cannot change the mode of %s", common->maillog_file);
}

/* A typing error must not make us append to any file that root may write. */
static bool has_prefix(const struct common_params *common)
{
	struct str prefixes = str_of(common->maillog_file_prefixes), prefix;
	while (str_next(&prefixes, ", \t\r\n", &prefix))
		if (str_starts(str_of(common->maillog_file), prefix))
			return true;
	return false;
}

/* False: what is wrong, in `error`. */
static bool check(const struct common_params *common, struct buf *error)
{
	mode_t mode;
	if (log_set_facility(common->syslog_facility) != 0)
		buf_printf(error, "unknown syslog_facility: %s", common->syslog_facility);
	else if (common->maillog_file[0] != '\0' && !has_prefix(common))
		buf_printf(error,
		    "maillog_file: %s does not begin with any of maillog_file_prefixes: %s",
		    common->maillog_file, common->maillog_file_prefixes);
	else if (common->maillog_file[0] != '\0' &&
	    !parse_mode(common->maillog_file_permissions, &mode))
		buf_printf(error, "bad value of maillog_file_permissions: %s",
		    common->maillog_file_permissions);
	else
		return true;
	return false;
}

static void check_or_die(const struct common_params *common)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(ERROR_MAX);
	if (!check(common, &error))
		fatal("%s", buf_cstr(&error));
}

static bool is_stdout(const struct common_params *common)
{
	return str_is(str_of(common->maillog_file), "/dev/stdout");
}

static void to_syslog(const char *tag)
{
	if (log_open(LOG_SINK_SYSLOG, tag, NULL) != 0)
		log_warning("cannot reach syslog");
}

static void relay(const struct common_params *common, const char *tag)
{
	log_relay_setup(common);
	log_relay_to(log_relay_send);
	if (log_open(LOG_SINK_RELAY, tag, NULL) != 0)
		to_syslog(tag);
}

/* 0 or -errno. */
static int open_file(const struct common_params *common, const char *tag)
{
	int result = log_open(LOG_SINK_FILE, tag, common->maillog_file);
	if (result == 0)
		set_permissions(common);
	return result;
}

static void make_tag(
    const struct common_params *common, const char *program, struct buf *tag)
{
	buf_printf(tag, "%s/%s", common->syslog_name, program);
	if (!buf_ok(tag))
		fatal("syslog_name is too long: %s", common->syslog_name);
}

void log_setup_tag(const struct common_params *common, const char *tag)
{
	check_or_die(common);
	if (common->maillog_file[0] == '\0') {
		to_syslog(tag);
		return;
	}
	/* A set-group-ID command has no business with the file, even if its caller has:
	 * as its owner he could lead it elsewhere. */
	bool lent = getegid() != getgid() && getuid() != 0;
	if (is_stdout(common) || lent || open_file(common, tag) != 0)
		relay(common, tag);
}

void log_setup(const struct common_params *common, const char *program)
{
	CLEANUP(buf_free) struct buf tag = BUF_INIT(LOG_TAG_MAX);
	make_tag(common, program, &tag);
	log_setup_tag(common, buf_cstr(&tag));
}

static void open_maillog(const struct common_params *common, const char *tag)
{
	int result = is_stdout(common) ? log_open(LOG_SINK_STDOUT, tag, NULL)
				       : open_file(common, tag);
	if (result == 0)
		return;
	to_syslog(tag);
	log_warning("open logfile '%s': %s", common->maillog_file, strerror(-result));
}

static void set_up_daemon(const struct common_params *common, const char *program)
{
	CLEANUP(buf_free) struct buf tag = BUF_INIT(LOG_TAG_MAX);
	make_tag(common, program, &tag);
	if (common->maillog_file[0] == '\0')
		to_syslog(buf_cstr(&tag));
	else
		open_maillog(common, buf_cstr(&tag));
}

void log_setup_daemon(const struct common_params *common, const char *program)
{
	check_or_die(common);
	set_up_daemon(common, program);
}

void log_setup_again(const struct common_params *common, const char *program)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(ERROR_MAX);
	if (check(common, &error))
		set_up_daemon(common, program);
	else
		log_error("%s", buf_cstr(&error));
}

int log_setup_reopen(const struct common_params *common)
{
	int error = log_reopen();
	if (error == 0)
		set_permissions(common);
	return error;
}

void log_setup_early(const char *program)
{
	CLEANUP(buf_free) struct buf tag = BUF_INIT(LOG_TAG_MAX);
	buf_printf(&tag, "postfix/%s", program);
	if (log_open(LOG_SINK_SYSLOG, buf_cstr(&tag), NULL) == 0)
		log_also_stderr(true);
}
