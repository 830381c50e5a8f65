/* Catches the lines that the library says, so that a test can count and read them. */
#ifndef SKT_LOG_LINES_H
#define SKT_LOG_LINES_H

#include <stdbool.h>

void skt_log_start(void); /* forgets earlier lines */
void skt_log_stop(void);  /* lines go to stderr again */
int skt_log_lines(void);
/* Whether some line has these words. */
bool skt_log_has(const char *words);

#endif
