/* SPDX-License-Identifier: MIT */
/* terminal: owns how it was set before. */
#include "command/terminal.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static bool given;

bool terminal_is_there(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

void terminal_size(uint16_t *ret_rows, uint16_t *ret_columns)
{
    struct winsize size = {0};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *ret_rows = size.ws_row;
    *ret_columns = size.ws_col;
}

void terminal_give(void)
{
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return;
    struct termios raw = before;
    cfmakeraw(&raw);
    given = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

void terminal_take_back(void)
{
    if (given)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    given = false;
}
