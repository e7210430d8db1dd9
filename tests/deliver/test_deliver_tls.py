import ssl

import pytest
import trustme

from ebbtide.deliver.tls import Tls
from ebbtide.errors import ConfigError


def test_a_context_trusts_the_given_authority_alone_and_shows_our_certificate(tmp_path):
    authority = trustme.CA()
    mine = authority.issue_cert("client.test")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    mine.private_key_and_cert_chain_pem.write_to_path(tmp_path / "mine.pem")

    context = Tls(ca_file=tmp_path / "ca.pem", cert_file=tmp_path / "mine.pem").context()

    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("text", ["", "no certificate"])
def test_a_file_that_is_no_certificate_is_named(tmp_path, text):
    path = tmp_path / "ca.pem"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        Tls(ca_file=path).context()
