# SPDX-License-Identifier: MIT
"""Signatures of the interfaces that the raw client and the fake compositor speak.

The core comes from libwayland's own wayland.xml.  The rest is a short table: INTERFACE VERSION, then `> request` and
`< event` lines in opcode order, each argument as name:kind.  Kinds are the wire's letters (i u f s o n a h; N is a new_id
without an interface); n=interface names what is made.  Interfaces are complete as far as the tests go, opcodes are not skipped.
"""

import os
import subprocess
import xml.etree.ElementTree

from .tap import Skip

_KINDS = {"int": "i", "uint": "u", "fixed": "f", "string": "s", "object": "o", "new_id": "n", "array": "a", "fd": "h"}


class Entry:
    """A request or an event: name, signature (one letter an argument), news (interface made, one an argument)."""

    def __init__(self, name, signature, news, destructor=False):
        self.name = name
        self.signature = signature
        self.news = news
        self.destructor = destructor


class Interface:
    def __init__(self, name, version):
        self.name = name
        self.version = version
        self.requests = []
        self.events = []


_TABLE = """
wl_fixes 2
 > destroy!
 > destroy_registry o
 > ack_global_remove o u
xdg_wm_base 6
 > destroy!
 > create_positioner n=xdg_positioner
 > get_xdg_surface n=xdg_surface o
 > pong u
 < ping u
xdg_positioner 6
 > destroy!
 > set_size i i
 > set_anchor_rect i i i i
 > set_anchor u
 > set_gravity u
 > set_constraint_adjustment u
 > set_offset i i
 > set_reactive
 > set_parent_size i i
 > set_parent_configure u
xdg_surface 6
 > destroy!
 > get_toplevel n=xdg_toplevel
 > get_popup n=xdg_popup o o
 > set_window_geometry i i i i
 > ack_configure u
 < configure u
xdg_toplevel 6
 > destroy!
 > set_parent o
 > set_title s
 > set_app_id s
 > show_window_menu o u i i
 > move o u
 > resize o u u
 > set_max_size i i
 > set_min_size i i
 > set_maximized
 > unset_maximized
 > set_fullscreen o
 > unset_fullscreen
 > set_minimized
 < configure i i a
 < close
 < configure_bounds i i
 < wm_capabilities a
xdg_popup 6
 > destroy!
 > grab o u
 > reposition o u
 < configure i i i i
 < popup_done
 < repositioned u
wp_viewporter 1
 > destroy!
 > get_viewport n=wp_viewport o
wp_viewport 1
 > destroy!
 > set_source f f f f
 > set_destination i i
wp_presentation 1
 > destroy!
 > feedback o n=wp_presentation_feedback
 < clock_id u
wp_presentation_feedback 1
 < sync_output o
 < presented u u u u u u u
 < discarded
zwlr_screencopy_manager_v1 3
 > capture_output n=zwlr_screencopy_frame_v1 i o
 > capture_output_region n=zwlr_screencopy_frame_v1 i o i i i i
 > destroy!
zwlr_screencopy_frame_v1 3
 > copy o
 > destroy!
 > copy_with_damage o
 < buffer u u u u
 < flags u
 < ready u u u
 < failed
 < damage u u u u
 < linux_dmabuf u u u
 < buffer_done
zwlr_virtual_pointer_manager_v1 2
 > create_virtual_pointer o n=zwlr_virtual_pointer_v1
 > destroy!
 > create_virtual_pointer_with_output o o n=zwlr_virtual_pointer_v1
zwlr_virtual_pointer_v1 2
 > motion u f f
 > motion_absolute u u u u u
 > button u u u
 > axis u u f
 > frame
 > axis_source u
 > axis_stop u u
 > axis_discrete u u f i
 > destroy!
zwp_virtual_keyboard_manager_v1 1
 > create_virtual_keyboard o n=zwp_virtual_keyboard_v1
zwp_virtual_keyboard_v1 1
 > keymap u h u
 > key u u u
 > modifiers u u u u
 > destroy!
zwlr_gamma_control_manager_v1 1
 > get_gamma_control n=zwlr_gamma_control_v1 o
 > destroy!
zwlr_gamma_control_v1 1
 > set_gamma h
 > destroy!
 < gamma_size u
 < failed
zwlr_foreign_toplevel_manager_v1 3
 > stop
 < toplevel n=zwlr_foreign_toplevel_handle_v1
 < finished
zwlr_foreign_toplevel_handle_v1 3
 > set_maximized
 > unset_maximized
 > set_minimized
 > unset_minimized
 > activate o
 > close
 > set_rectangle o i i i i
 > destroy!
 > set_fullscreen o
 > unset_fullscreen
 < title s
 < app_id s
 < output_enter o
 < output_leave o
 < state a
 < done
 < closed
 < parent o
zwlr_data_control_manager_v1 2
 > create_data_source n=zwlr_data_control_source_v1
 > get_data_device n=zwlr_data_control_device_v1 o
 > destroy!
zwlr_data_control_device_v1 2
 > set_selection o
 > destroy!
 > set_primary_selection o
 < data_offer n=zwlr_data_control_offer_v1
 < selection o
 < finished
 < primary_selection o
zwlr_data_control_source_v1 1
 > offer s
 > destroy!
 < send s h
 < cancelled
zwlr_data_control_offer_v1 1
 > receive s h
 > destroy!
 < offer s
zwp_primary_selection_device_manager_v1 1
 > create_source n=zwp_primary_selection_source_v1
 > get_device n=zwp_primary_selection_device_v1 o
 > destroy!
zwp_primary_selection_device_v1 1
 > set_selection o u
 > destroy!
 < data_offer n=zwp_primary_selection_offer_v1
 < selection o
zwp_primary_selection_offer_v1 1
 > receive s h
 > destroy!
 < offer s
zwp_primary_selection_source_v1 1
 > offer s
 > destroy!
 < send s h
 < cancelled
wp_security_context_manager_v1 1
 > destroy!
 > create_listener n=wp_security_context_v1 h h
wp_security_context_v1 1
 > destroy!
 > set_sandbox_engine s
 > set_app_id s
 > set_instance_id s
 > commit
xdg_toplevel_icon_manager_v1 1
 > destroy!
 > create_icon n=xdg_toplevel_icon_v1
 > set_icon o o
 < icon_size i
 < done
xdg_toplevel_icon_v1 1
 > destroy!
 > set_name s
 > add_buffer o i
weston_capture_v1 1
 > destroy!
 > create o u n=weston_capture_source_v1
weston_capture_source_v1 1
 > destroy!
 > capture o
 < format u
 < size i i
 < complete
 < retry
 < failed s
ext_image_capture_source_v1 1
 > destroy!
ext_output_image_capture_source_manager_v1 1
 > create_source n=ext_image_capture_source_v1 o
 > destroy!
ext_image_copy_capture_manager_v1 1
 > create_session n=ext_image_copy_capture_session_v1 o u
 > create_pointer_cursor_session n=ext_image_copy_capture_cursor_session_v1 o o
 > destroy!
ext_image_copy_capture_session_v1 1
 > create_frame n=ext_image_copy_capture_frame_v1
 > destroy!
 < buffer_size u u
 < shm_format u
 < dmabuf_device a
 < dmabuf_format u a
 < done
 < stopped
ext_image_copy_capture_frame_v1 1
 > destroy!
 > attach_buffer o
 > damage_buffer i i i i
 > capture
 < transform u
 < damage i i i i
 < presentation_time u u u
 < ready
 < failed u
zxdg_output_manager_v1 3
 > destroy!
 > get_xdg_output n=zxdg_output_v1 o
zxdg_output_v1 3
 > destroy!
 < logical_position i i
 < logical_size i i
 < done
 < name s
 < description s
ext_idle_notifier_v1 1
 > destroy!
 > get_idle_notification n=ext_idle_notification_v1 u o
ext_idle_notification_v1 1
 > destroy!
 < idled
 < resumed
zwp_linux_dmabuf_v1 5
 > destroy!
 > create_params n=zwp_linux_buffer_params_v1
 > get_default_feedback n=zwp_linux_dmabuf_feedback_v1
 > get_surface_feedback n=zwp_linux_dmabuf_feedback_v1 o
 < format u
 < modifier u u u
zwp_linux_buffer_params_v1 5
 > destroy!
 > add h u u u u u
 > create i i u u
 > create_immed n=wl_buffer i i u u
 < created n=wl_buffer
 < failed
zwp_linux_dmabuf_feedback_v1 5
 > destroy!
 < done
 < format_table h u
 < main_device a
 < tranche_done
 < tranche_target_device a
 < tranche_formats a
 < tranche_flags u
zwlr_layer_shell_v1 4
 > get_layer_surface n=zwlr_layer_surface_v1 o o u s
 > destroy!
ext_session_lock_manager_v1 1
 > destroy!
zwp_input_method_manager_v2 1
 > get_input_method o n=zwp_input_method_v2
 > destroy!
xdg_activation_v1 1
 > destroy!
 > get_activation_token n=xdg_activation_token_v1
 > activate s o
xdg_activation_token_v1 1
 > set_serial u o
 > set_app_id s
 > set_surface o
 > commit
 > destroy!
 < done s
wp_single_pixel_buffer_manager_v1 1
 > destroy!
 > create_u32_rgba_buffer n=wl_buffer u u u u
wp_fractional_scale_manager_v1 1
 > destroy!
 > get_fractional_scale n=wp_fractional_scale_v1 o
wp_fractional_scale_v1 1
 > destroy!
 < preferred_scale u
"""


def _parse_table(found):
    current = None
    for line in _TABLE.strip("\n").split("\n"):
        if not line.startswith(" "):
            name, version = line.split()
            current = found[name] = Interface(name, int(version))
            continue
        direction, name, *kinds = line.split()
        entry = Entry(name.rstrip("!"), "".join(k[0] for k in kinds),
                      [k.partition("=")[2] or None for k in kinds], name.endswith("!"))
        (current.requests if direction == ">" else current.events).append(entry)


def _parse_xml(found, path):
    for element in xml.etree.ElementTree.parse(path).getroot().iter("interface"):
        interface = Interface(element.get("name"), int(element.get("version")))
        for child in element:
            if child.tag not in ("request", "event"):
                continue
            signature, news = "", []
            for arg in child.iter("arg"):
                kind = _KINDS[arg.get("type")]
                if kind == "n" and not arg.get("interface"):
                    kind = "N"
                signature += kind
                news.append(arg.get("interface") if kind == "n" else None)
            entry = Entry(child.get("name"), signature, news, child.get("type") == "destructor")
            (interface.requests if child.tag == "request" else interface.events).append(entry)
        found[interface.name] = interface


def _core_xml():
    paths = ["/usr/share/wayland/wayland.xml"]
    try:
        folder = subprocess.run(["pkg-config", "--variable=pkgdatadir", "wayland-scanner"], capture_output=True,
                                text=True).stdout.strip()
        if folder:
            paths.insert(0, os.path.join(folder, "wayland.xml"))
    except OSError:
        pass
    for path in paths:
        if os.path.exists(path):
            return path
    raise Skip("wayland.xml (libwayland-dev) is not installed")


INTERFACES = {}
_parse_xml(INTERFACES, _core_xml())
_parse_table(INTERFACES)
