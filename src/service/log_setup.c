#include "service/log_setup.h"

#include <sys/stat.h>
#include "base/buf.h"
#include "base/log.h"
#include "base/panic.h"

#define TAG_MAX 120

/* Owner's choice of rights for the file (maillog_file_permissions, octal). */
static void set_permissions(const struct common_params *common)
{
	mode_t mode = 0;
	const char *text = common->maillog_file_permissions;
	for (; *text >= '0' && *text <= '7' && mode <= 0777; text++)
		mode = mode * 8 + (mode_t)(*text - '0');
	if (*text != '\0' || mode > 0777)
		fatal("bad value of maillog_file_permissions: %s",
		    common->maillog_file_permissions);
	struct stat status;
	if (stat(common->maillog_file, &status) == 0 && S_ISREG(status.st_mode) &&
	    (status.st_mode & 0777) != mode && chmod(common->maillog_file, mode) != 0)
		log_debug("cannot change the mode of %s", common->maillog_file);
}

/* A typing error must not make us append to any file that root may write. */
static void check_prefix(const struct common_params *common)
{
	struct str prefixes = str_of(common->maillog_file_prefixes), prefix;
	while (str_next(&prefixes, ", \t\r\n", &prefix))
		if (str_starts(str_of(common->maillog_file), prefix))
			return;
	fatal("maillog_file: %s does not begin with any of maillog_file_prefixes: %s",
	    common->maillog_file, common->maillog_file_prefixes);
}

static bool open_maillog(const struct common_params *common, const char *tag)
{
	if (common->maillog_file[0] == '\0')
		return false;
	check_prefix(common);
	if (str_is(str_of(common->maillog_file), "/dev/stdout"))
		return log_open(LOG_SINK_STDOUT, tag, NULL) == 0;
	int result = log_open(LOG_SINK_FILE, tag, common->maillog_file);
	if (result == 0) {
		set_permissions(common);
		return true;
	}
	if (log_open(LOG_SINK_SYSLOG, tag, NULL) == 0)
		log_warning(
		    "open logfile '%s': %s", common->maillog_file, strerror(-result));
	return true;
}

void log_setup(const struct common_params *common, const char *program)
{
	CLEANUP(buf_free) struct buf tag = BUF_INIT(TAG_MAX);
	buf_printf(&tag, "%s/%s", common->syslog_name, program);
	if (!buf_ok(&tag))
		fatal("syslog_name is too long: %s", common->syslog_name);
	if (log_set_facility(common->syslog_facility) != 0)
		fatal("unknown syslog_facility: %s", common->syslog_facility);
	if (!open_maillog(common, buf_cstr(&tag)) &&
	    log_open(LOG_SINK_SYSLOG, buf_cstr(&tag), NULL) != 0)
		log_warning("cannot reach syslog");
}

void log_setup_early(const char *program)
{
	CLEANUP(buf_free) struct buf tag = BUF_INIT(TAG_MAX);
	buf_printf(&tag, "postfix/%s", program);
	if (log_open(LOG_SINK_SYSLOG, buf_cstr(&tag), NULL) == 0)
		log_also_stderr(true);
}
