#include "mail/header.h"

#define SENDER    HEADER_IS_SENDER
#define RECIPIENT HEADER_IS_RECIPIENT
#define RESENT    HEADER_IS_RESENT
#define EXTRACT   HEADER_EXTRACT
#define DROP      HEADER_DROP
#define MIME      HEADER_IS_MIME

/* Sorted by name without regard to case; the classes are those that Postfix rewrites by.
 */
static const struct header_row rows[] = {
    {"Apparently-To", HEADER_APPARENTLY_TO, RECIPIENT},
    {"Bcc", HEADER_BCC, RECIPIENT | EXTRACT | DROP},
    {"Cc", HEADER_CC, RECIPIENT | EXTRACT},
    {"Content-Description", HEADER_CONTENT_DESCRIPTION, MIME},
    {"Content-Disposition", HEADER_CONTENT_DISPOSITION, MIME},
    {"Content-ID", HEADER_CONTENT_ID, MIME},
    {"Content-Length", HEADER_CONTENT_LENGTH, DROP},
    {"Content-Transfer-Encoding", HEADER_CONTENT_TRANSFER_ENCODING, MIME},
    {"Content-Type", HEADER_CONTENT_TYPE, MIME},
    {"Date", HEADER_DATE, 0},
    {"Delivered-To", HEADER_DELIVERED_TO, 0},
    {"Disposition-Notification-To", HEADER_DISPOSITION_NOTIFICATION_TO, SENDER},
    {"Errors-To", HEADER_ERRORS_TO, SENDER},
    {"From", HEADER_FROM, SENDER},
    {"In-Reply-To", HEADER_IN_REPLY_TO, 0},
    {"Lines", HEADER_LINES, 0},
    {"Mail-Followup-To", HEADER_MAIL_FOLLOWUP_TO, SENDER},
    {"Message-ID", HEADER_MESSAGE_ID, 0},
    {"MIME-Version", HEADER_MIME_VERSION, MIME},
    {"Received", HEADER_RECEIVED, 0},
    {"References", HEADER_REFERENCES, 0},
    {"Reply-To", HEADER_REPLY_TO, SENDER},
    {"Resent-Bcc", HEADER_RESENT_BCC, RECIPIENT | EXTRACT | RESENT | DROP},
    {"Resent-Cc", HEADER_RESENT_CC, RECIPIENT | EXTRACT | RESENT},
    {"Resent-Date", HEADER_RESENT_DATE, RESENT},
    {"Resent-From", HEADER_RESENT_FROM, SENDER | RESENT},
    {"Resent-Message-ID", HEADER_RESENT_MESSAGE_ID, RESENT},
    {"Resent-Reply-To", HEADER_RESENT_REPLY_TO, RECIPIENT | RESENT},
    {"Resent-Sender", HEADER_RESENT_SENDER, SENDER | RESENT},
    {"Resent-To", HEADER_RESENT_TO, RECIPIENT | EXTRACT | RESENT},
    {"Return-Path", HEADER_RETURN_PATH, SENDER | DROP},
    {"Return-Receipt-To", HEADER_RETURN_RECEIPT_TO, SENDER},
    {"Sender", HEADER_SENDER, SENDER},
    {"Subject", HEADER_SUBJECT, 0},
    {"TLS-Required", HEADER_TLS_REQUIRED, 0},
    {"To", HEADER_TO, RECIPIENT | EXTRACT},
};

static const struct header_row other = {"", HEADER_OTHER, 0};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

size_t header_name_length(struct str line)
{
	size_t length = 0;
	while (length < line.len && line.p[length] > 32 && line.p[length] < 127 &&
	    line.p[length] != ':')
		length++;
	if (length == 0)
		return 0;
	size_t colon = length;
	while (colon < line.len && is_blank(line.p[colon]))
		colon++;
	return colon < line.len && line.p[colon] == ':' ? length : 0;
}

static int compare_nocase(struct str a, const char *b)
{
	for (size_t i = 0; i < a.len; i++) {
		int difference =
		    (unsigned char)ascii_lower(a.p[i]) - (unsigned char)ascii_lower(b[i]);
		if (difference != 0)
			return difference;
	}
	return b[a.len] == '\0' ? 0 : -1;
}

const struct header_row *header_find(struct str name)
{
	size_t low = 0;
	size_t high = ARRAY_SIZE(rows);
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = compare_nocase(name, rows[middle].name);
		if (order == 0)
			return &rows[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return &other;
}

struct str header_body(struct str field)
{
	ptrdiff_t colon = str_find(field, ':');
	return colon < 0 ? STR_EMPTY : str_trim(str_skip(field, (size_t)colon + 1));
}
