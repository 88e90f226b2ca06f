/* Makes an instance: directories, main.cf, master.cf, aliases. Nothing existing is
 * overwritten. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/panic.h"
#include "control/stock_rows.h"
#include "posthouse/posthouse.h"
#include "service/command.h"

#define DEFAULT_PORT 2525
#define FILE_MAX     65536
#define PATH_ROOM    4096

struct instance {
	char directory[PATH_ROOM];
	int64_t port;
	const char *user, *group;
};

static void make_directory(const char *path, mode_t mode)
{
	if (mkdir(path, mode) != 0 && errno != EEXIST)
		fatal("create directory %s: %s", path, strerror(errno));
}

static void make_part(const struct instance *i, const char *name)
{
	char path[PATH_ROOM * 2];
	(void)snprintf(path, sizeof(path), "%s/%s", i->directory, name);
	make_directory(path, 0700);
}

static void write_file(const struct instance *i, const char *name, const struct buf *text)
{
	char path[PATH_ROOM * 2];
	(void)snprintf(path, sizeof(path), "%s/etc/%s", i->directory, name);
	int fd = file_open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd == -EEXIST)
		fatal("%s exists already; remove it, or choose another directory", path);
	if (fd < 0)
		fatal("create %s: %s", path, strerror(-fd));
	int error = file_write_all(fd, text->p, text->len);
	if (error != 0)
		fatal("write %s: %s", path, strerror(-error));
	file_close(&fd);
}

static void write_main_cf(const struct instance *i)
{
	CLEANUP(buf_free) struct buf t = BUF_INIT(FILE_MAX);
	const char *d = i->directory;
	buf_add_cstr(&t,
	    "# Made by `posthouse init`. See postconf(5) for every parameter.\n"
	    "compatibility_level = 3.11\n\n"
	    "# One user owns everything; no root is needed.\n"
	    "posthouse_single_user = yes\n");
	buf_printf(&t, "mail_owner = %s\nsetgid_group = %s\n", i->user, i->group);
	buf_printf(&t, "queue_directory = %s/queue\ndata_directory = %s/data\n", d, d);
	buf_printf(&t,
	    "maillog_file = %s/log/mail.log\nmaillog_file_prefixes = %s/log\n\n", d, d);
	buf_add_cstr(&t,
	    "# Only this machine may connect, and may relay.\n"
	    "inet_interfaces = 127.0.0.1\nmynetworks = 127.0.0.0/8\n"
	    "mydestination = $myhostname, localhost.$mydomain, localhost\n\n");
	buf_printf(
	    &t, "# Mail for %s goes to the maildir %s/mail/%s/.\n", i->user, d, i->user);
	buf_printf(&t, "mail_spool_directory = %s/mail/\n", d);
	buf_printf(&t, "alias_maps = hash:%s/etc/aliases\n", d);
	buf_printf(&t, "local_recipient_maps = inline:{%s=yes} $alias_maps\n", i->user);
	write_file(i, "main.cf", &t);
}

static void write_master_cf(const struct instance *i)
{
	CLEANUP(buf_free) struct buf t = BUF_INIT(FILE_MAX);
	buf_add_cstr(&t,
	    "# Made by `posthouse init`. See master(5).\n"
	    "# service type  private unpriv  chroot  wakeup  maxproc command + args\n");
	buf_printf(&t, "%-5lld     inet  n       -       n       -       -       smtpd\n",
	    (long long)i->port);
	const struct common_params common = {
	    .daemon_directory = param_find(STR("daemon_directory"))->initial};
	(void)stock_rows_add(&t, program_daemon_directory(&common), NULL);
	write_file(i, "master.cf", &t);
}

static void write_aliases(const struct instance *i)
{
	CLEANUP(buf_free) struct buf t = BUF_INIT(FILE_MAX);
	buf_printf(&t,
	    "# name: addresses. Read as it stands, unless postalias made an index of it.\n"
	    "postmaster: %s\nmailer-daemon: postmaster\n",
	    i->user);
	write_file(i, "aliases", &t);
}

static void parse_arguments(int argc, char **argv, struct instance *i)
{
	const char *directory = NULL;
	i->port = DEFAULT_PORT;
	for (int at = 1; at < argc; at++) {
		if (strcmp(argv[at], "--port") == 0 && at + 1 < argc) {
			if (!str_to_range(str_of(argv[++at]), 1, 65535, &i->port))
				fatal("bad port: %s", argv[at]);
		} else if (argv[at][0] != '-' && directory == NULL) {
			directory = argv[at];
		} else {
			fatal("usage: posthouse init DIR [--port N]");
		}
	}
	if (directory == NULL)
		fatal("usage: posthouse init DIR [--port N]");
	make_directory(directory, 0755);
	if (realpath(directory, i->directory) == NULL)
		fatal("%s: %s", directory, strerror(errno));
	if (str_find_any(str_of(i->directory), " \t\r\n,${}") >= 0)
		fatal("%s: the name may not hold blanks or any of , $ { }", i->directory);
}

int posthouse_init(int argc, char **argv)
{
	static const char *const parts[] = {"etc", "queue", "data", "log", "mail"};
	struct instance i;
	parse_arguments(argc, argv, &i);
	const struct passwd *user = getpwuid(geteuid());
	if (user == NULL)
		fatal("who are you? no user has the number %d", (int)geteuid());
	const struct group *group = getgrgid(getegid());
	if (group == NULL)
		fatal("no group has the number %d", (int)getegid());
	i.user = user->pw_name;
	i.group = group->gr_name;
	for (size_t part = 0; part < ARRAY_SIZE(parts); part++)
		make_part(&i, parts[part]);
	write_main_cf(&i);
	write_master_cf(&i);
	write_aliases(&i);
	printf(
	    "An instance for %s is ready in %s.\n"
	    "  start:  posthouse -c %s/etc start\n"
	    "  then SMTP is on 127.0.0.1:%lld, and mail for %s@localhost comes to %s/mail/%s/\n",
	    i.user, i.directory, i.directory, (long long)i.port, i.user, i.directory,
	    i.user);
	return 0;
}
