"""The 224 cases of NIST's Public Key Interoperability Test Suite (PKITS), as data.

Rule: what NIST says, and nothing of what OpenSSL says. The names are those of the files in the package
``cryptography_vectors``; a test compares each case with the S/MIME message in which NIST sends its certificates and
CRLs. The policy inputs are the suite's default ones: any policy, none required, nothing inhibited.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ANCHOR, ANCHOR_CRL = "TrustAnchorRootCertificate", "TrustAnchorRootCRL"
"""Every case has this trust anchor, and its CRL."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test of the suite."""

    number: str
    accepted: bool
    """Whether NIST says that the path is valid."""
    path: tuple[str, ...]
    """The certificates of the path, leaf first, without the trust anchor."""
    crls: tuple[str, ...]
    """The CRLs, without the one of the trust anchor."""
    extra: tuple[str, ...]
    """Certificates that only the signatures of CRLs need; they are sent after the path."""

    @property
    def section(self) -> str:
        """The section of NIST's document, such as ``4.13``."""
        return self.number.rpartition(".")[0]


def _read(table: str) -> Iterator[Case]:
    """``4.1.1 valid LEAF CA ... | CRL ... + EXTRA ...``, over as many lines as it takes."""
    for number, row in re.findall(r"(4\.\d+\.\d+) (.*?)(?=4\.\d+\.\d+ |\Z)", table, re.DOTALL):
        certificates, _, rest = row.partition("|")
        expected, *path = certificates.split()
        crls, _, extra = rest.partition("+")
        yield Case(number, expected == "valid", tuple(path), tuple(crls.split()), tuple(extra.split()))


SECTIONS = {
    "4.1 signature verification": """
4.1.1 valid ValidCertificatePathTest1EE GoodCACert | GoodCACRL
4.1.2 invalid InvalidCASignatureTest2EE BadSignedCACert | BadSignedCACRL
4.1.3 invalid InvalidEESignatureTest3EE GoodCACert | GoodCACRL
4.1.4 valid ValidDSASignaturesTest4EE DSACACert | DSACACRL
4.1.5 valid ValidDSAParameterInheritanceTest5EE DSAParametersInheritedCACert DSACACert | DSACACRL
    DSAParametersInheritedCACRL
4.1.6 invalid InvalidDSASignatureTest6EE DSACACert | DSACACRL
""",
    "4.2 validity periods": """
4.2.1 invalid InvalidCAnotBeforeDateTest1EE BadnotBeforeDateCACert | BadnotBeforeDateCACRL
4.2.2 invalid InvalidEEnotBeforeDateTest2EE GoodCACert | GoodCACRL
4.2.3 valid Validpre2000UTCnotBeforeDateTest3EE GoodCACert | GoodCACRL
4.2.4 valid ValidGeneralizedTimenotBeforeDateTest4EE GoodCACert | GoodCACRL
4.2.5 invalid InvalidCAnotAfterDateTest5EE BadnotAfterDateCACert | BadnotAfterDateCACRL
4.2.6 invalid InvalidEEnotAfterDateTest6EE GoodCACert | GoodCACRL
4.2.7 invalid Invalidpre2000UTCEEnotAfterDateTest7EE GoodCACert | GoodCACRL
4.2.8 valid ValidGeneralizedTimenotAfterDateTest8EE GoodCACert | GoodCACRL
""",
    "4.3 name chaining": """
4.3.1 invalid InvalidNameChainingTest1EE GoodCACert | GoodCACRL
4.3.2 invalid InvalidNameChainingOrderTest2EE NameOrderingCACert | NameOrderCACRL
4.3.3 valid ValidNameChainingWhitespaceTest3EE GoodCACert | GoodCACRL
4.3.4 valid ValidNameChainingWhitespaceTest4EE GoodCACert | GoodCACRL
4.3.5 valid ValidNameChainingCapitalizationTest5EE GoodCACert | GoodCACRL
4.3.6 valid ValidNameUIDsTest6EE UIDCACert | UIDCACRL
4.3.7 valid ValidRFC3280MandatoryAttributeTypesTest7EE RFC3280MandatoryAttributeTypesCACert |
    RFC3280MandatoryAttributeTypesCACRL
4.3.8 valid ValidRFC3280OptionalAttributeTypesTest8EE RFC3280OptionalAttributeTypesCACert |
    RFC3280OptionalAttributeTypesCACRL
4.3.9 valid ValidUTF8StringEncodedNamesTest9EE UTF8StringEncodedNamesCACert | UTF8StringEncodedNamesCACRL
4.3.10 valid ValidRolloverfromPrintableStringtoUTF8StringTest10EE RolloverfromPrintableStringtoUTF8StringCACert |
    RolloverfromPrintableStringtoUTF8StringCACRL
4.3.11 valid ValidUTF8StringCaseInsensitiveMatchTest11EE UTF8StringCaseInsensitiveMatchCACert |
    UTF8StringCaseInsensitiveMatchCACRL
""",
    "4.4 basic revocation": """
4.4.1 invalid InvalidMissingCRLTest1EE NoCRLCACert
4.4.2 invalid InvalidRevokedCATest2EE RevokedsubCACert GoodCACert | GoodCACRL RevokedsubCACRL
4.4.3 invalid InvalidRevokedEETest3EE GoodCACert | GoodCACRL
4.4.4 invalid InvalidBadCRLSignatureTest4EE BadCRLSignatureCACert | BadCRLSignatureCACRL
4.4.5 invalid InvalidBadCRLIssuerNameTest5EE BadCRLIssuerNameCACert | BadCRLIssuerNameCACRL
4.4.6 invalid InvalidWrongCRLTest6EE WrongCRLCACert
4.4.7 valid ValidTwoCRLsTest7EE TwoCRLsCACert | TwoCRLsCABadCRL TwoCRLsCAGoodCRL
4.4.8 invalid InvalidUnknownCRLEntryExtensionTest8EE UnknownCRLEntryExtensionCACert | UnknownCRLEntryExtensionCACRL
4.4.9 invalid InvalidUnknownCRLExtensionTest9EE UnknownCRLExtensionCACert | UnknownCRLExtensionCACRL
4.4.10 invalid InvalidUnknownCRLExtensionTest10EE UnknownCRLExtensionCACert | UnknownCRLExtensionCACRL
4.4.11 invalid InvalidOldCRLnextUpdateTest11EE OldCRLnextUpdateCACert | OldCRLnextUpdateCACRL
4.4.12 invalid Invalidpre2000CRLnextUpdateTest12EE pre2000CRLnextUpdateCACert | pre2000CRLnextUpdateCACRL
4.4.13 valid ValidGeneralizedTimeCRLnextUpdateTest13EE GeneralizedTimeCRLnextUpdateCACert |
    GeneralizedTimeCRLnextUpdateCACRL
4.4.14 valid ValidNegativeSerialNumberTest14EE NegativeSerialNumberCACert | NegativeSerialNumberCACRL
4.4.15 invalid InvalidNegativeSerialNumberTest15EE NegativeSerialNumberCACert | NegativeSerialNumberCACRL
4.4.16 valid ValidLongSerialNumberTest16EE LongSerialNumberCACert | LongSerialNumberCACRL
4.4.17 valid ValidLongSerialNumberTest17EE LongSerialNumberCACert | LongSerialNumberCACRL
4.4.18 invalid InvalidLongSerialNumberTest18EE LongSerialNumberCACert | LongSerialNumberCACRL
4.4.19 valid ValidSeparateCertificateandCRLKeysTest19EE SeparateCertificateandCRLKeysCertificateSigningCACert |
    SeparateCertificateandCRLKeysCRL + SeparateCertificateandCRLKeysCRLSigningCert
4.4.20 invalid InvalidSeparateCertificateandCRLKeysTest20EE SeparateCertificateandCRLKeysCertificateSigningCACert |
    SeparateCertificateandCRLKeysCRL + SeparateCertificateandCRLKeysCRLSigningCert
4.4.21 invalid InvalidSeparateCertificateandCRLKeysTest21EE SeparateCertificateandCRLKeysCA2CertificateSigningCACert |
    SeparateCertificateandCRLKeysCA2CRL + SeparateCertificateandCRLKeysCA2CRLSigningCert
""",
    "4.5 self-issued certificates": """
4.5.1 valid ValidBasicSelfIssuedOldWithNewTest1EE BasicSelfIssuedNewKeyOldWithNewCACert BasicSelfIssuedNewKeyCACert |
    BasicSelfIssuedNewKeyCACRL
4.5.2 invalid InvalidBasicSelfIssuedOldWithNewTest2EE BasicSelfIssuedNewKeyOldWithNewCACert
    BasicSelfIssuedNewKeyCACert | BasicSelfIssuedNewKeyCACRL
4.5.3 valid ValidBasicSelfIssuedNewWithOldTest3EE BasicSelfIssuedOldKeyNewWithOldCACert BasicSelfIssuedOldKeyCACert |
    BasicSelfIssuedOldKeyCACRL BasicSelfIssuedOldKeySelfIssuedCertCRL
4.5.4 valid ValidBasicSelfIssuedNewWithOldTest4EE BasicSelfIssuedOldKeyCACert | BasicSelfIssuedOldKeyCACRL
    BasicSelfIssuedOldKeySelfIssuedCertCRL + BasicSelfIssuedOldKeyNewWithOldCACert
4.5.5 invalid InvalidBasicSelfIssuedNewWithOldTest5EE BasicSelfIssuedOldKeyCACert | BasicSelfIssuedOldKeyCACRL
    BasicSelfIssuedOldKeySelfIssuedCertCRL + BasicSelfIssuedOldKeyNewWithOldCACert
4.5.6 valid ValidBasicSelfIssuedCRLSigningKeyTest6EE BasicSelfIssuedCRLSigningKeyCACert |
    BasicSelfIssuedCRLSigningKeyCACRL BasicSelfIssuedCRLSigningKeyCRLCertCRL + BasicSelfIssuedCRLSigningKeyCRLCert
4.5.7 invalid InvalidBasicSelfIssuedCRLSigningKeyTest7EE BasicSelfIssuedCRLSigningKeyCACert |
    BasicSelfIssuedCRLSigningKeyCACRL BasicSelfIssuedCRLSigningKeyCRLCertCRL + BasicSelfIssuedCRLSigningKeyCRLCert
4.5.8 invalid InvalidBasicSelfIssuedCRLSigningKeyTest8EE BasicSelfIssuedCRLSigningKeyCRLCert
    BasicSelfIssuedCRLSigningKeyCACert | BasicSelfIssuedCRLSigningKeyCACRL BasicSelfIssuedCRLSigningKeyCRLCertCRL
""",
    "4.6 basic constraints": """
4.6.1 invalid InvalidMissingbasicConstraintsTest1EE MissingbasicConstraintsCACert | MissingbasicConstraintsCACRL
4.6.2 invalid InvalidcAFalseTest2EE basicConstraintsCriticalcAFalseCACert | basicConstraintsCriticalcAFalseCACRL
4.6.3 invalid InvalidcAFalseTest3EE basicConstraintsNotCriticalcAFalseCACert | basicConstraintsNotCriticalcAFalseCACRL
4.6.4 valid ValidbasicConstraintsNotCriticalTest4EE basicConstraintsNotCriticalCACert |
    basicConstraintsNotCriticalCACRL
4.6.5 invalid InvalidpathLenConstraintTest5EE pathLenConstraint0subCACert pathLenConstraint0CACert |
    pathLenConstraint0CACRL pathLenConstraint0subCACRL
4.6.6 invalid InvalidpathLenConstraintTest6EE pathLenConstraint0subCACert pathLenConstraint0CACert |
    pathLenConstraint0CACRL pathLenConstraint0subCACRL
4.6.7 valid ValidpathLenConstraintTest7EE pathLenConstraint0CACert | pathLenConstraint0CACRL
4.6.8 valid ValidpathLenConstraintTest8EE pathLenConstraint0CACert | pathLenConstraint0CACRL
4.6.9 invalid InvalidpathLenConstraintTest9EE pathLenConstraint6subsubCA00Cert pathLenConstraint6subCA0Cert
    pathLenConstraint6CACert | pathLenConstraint6CACRL pathLenConstraint6subCA0CRL pathLenConstraint6subsubCA00CRL
4.6.10 invalid InvalidpathLenConstraintTest10EE pathLenConstraint6subsubCA00Cert pathLenConstraint6subCA0Cert
    pathLenConstraint6CACert | pathLenConstraint6CACRL pathLenConstraint6subCA0CRL pathLenConstraint6subsubCA00CRL
4.6.11 invalid InvalidpathLenConstraintTest11EE pathLenConstraint6subsubsubCA11XCert pathLenConstraint6subsubCA11Cert
    pathLenConstraint6subCA1Cert pathLenConstraint6CACert | pathLenConstraint6CACRL pathLenConstraint6subCA1CRL
    pathLenConstraint6subsubCA11CRL pathLenConstraint6subsubsubCA11XCRL
4.6.12 invalid InvalidpathLenConstraintTest12EE pathLenConstraint6subsubsubCA11XCert pathLenConstraint6subsubCA11Cert
    pathLenConstraint6subCA1Cert pathLenConstraint6CACert | pathLenConstraint6CACRL pathLenConstraint6subCA1CRL
    pathLenConstraint6subsubCA11CRL pathLenConstraint6subsubsubCA11XCRL
4.6.13 valid ValidpathLenConstraintTest13EE pathLenConstraint6subsubsubCA41XCert pathLenConstraint6subsubCA41Cert
    pathLenConstraint6subCA4Cert pathLenConstraint6CACert | pathLenConstraint6CACRL pathLenConstraint6subCA4CRL
    pathLenConstraint6subsubCA41CRL pathLenConstraint6subsubsubCA41XCRL
4.6.14 valid ValidpathLenConstraintTest14EE pathLenConstraint6subsubsubCA41XCert pathLenConstraint6subsubCA41Cert
    pathLenConstraint6subCA4Cert pathLenConstraint6CACert | pathLenConstraint6CACRL pathLenConstraint6subCA4CRL
    pathLenConstraint6subsubCA41CRL pathLenConstraint6subsubsubCA41XCRL
4.6.15 valid ValidSelfIssuedpathLenConstraintTest15EE pathLenConstraint0SelfIssuedCACert pathLenConstraint0CACert |
    pathLenConstraint0CACRL
4.6.16 invalid InvalidSelfIssuedpathLenConstraintTest16EE pathLenConstraint0subCA2Cert
    pathLenConstraint0SelfIssuedCACert pathLenConstraint0CACert | pathLenConstraint0CACRL pathLenConstraint0subCA2CRL
4.6.17 valid ValidSelfIssuedpathLenConstraintTest17EE pathLenConstraint1SelfIssuedsubCACert
    pathLenConstraint1subCACert pathLenConstraint1SelfIssuedCACert pathLenConstraint1CACert | pathLenConstraint1CACRL
    pathLenConstraint1subCACRL
""",
    "4.7 key usage": """
4.7.1 invalid InvalidkeyUsageCriticalkeyCertSignFalseTest1EE keyUsageCriticalkeyCertSignFalseCACert |
    keyUsageCriticalkeyCertSignFalseCACRL
4.7.2 invalid InvalidkeyUsageNotCriticalkeyCertSignFalseTest2EE keyUsageNotCriticalkeyCertSignFalseCACert |
    keyUsageNotCriticalkeyCertSignFalseCACRL
4.7.3 valid ValidkeyUsageNotCriticalTest3EE keyUsageNotCriticalCACert | keyUsageNotCriticalCACRL
4.7.4 invalid InvalidkeyUsageCriticalcRLSignFalseTest4EE keyUsageCriticalcRLSignFalseCACert |
    keyUsageCriticalcRLSignFalseCACRL
4.7.5 invalid InvalidkeyUsageNotCriticalcRLSignFalseTest5EE keyUsageNotCriticalcRLSignFalseCACert |
    keyUsageNotCriticalcRLSignFalseCACRL
""",
    "4.8 certificate policies": """
4.8.1 valid ValidCertificatePathTest1EE GoodCACert | GoodCACRL
4.8.2 valid AllCertificatesNoPoliciesTest2EE NoPoliciesCACert | NoPoliciesCACRL
4.8.3 valid DifferentPoliciesTest3EE PoliciesP2subCACert GoodCACert | GoodCACRL PoliciesP2subCACRL
4.8.4 invalid DifferentPoliciesTest4EE GoodsubCACert GoodCACert | GoodCACRL GoodsubCACRL
4.8.5 invalid DifferentPoliciesTest5EE PoliciesP2subCA2Cert GoodCACert | GoodCACRL PoliciesP2subCA2CRL
4.8.6 valid OverlappingPoliciesTest6EE PoliciesP1234subsubCAP123P12Cert PoliciesP1234subCAP123Cert PoliciesP1234CACert
    | PoliciesP1234CACRL PoliciesP1234subCAP123CRL PoliciesP1234subsubCAP123P12CRL
4.8.7 invalid DifferentPoliciesTest7EE PoliciesP123subsubCAP12P1Cert PoliciesP123subCAP12Cert PoliciesP123CACert |
    PoliciesP123CACRL PoliciesP123subCAP12CRL PoliciesP123subsubCAP12P1CRL
4.8.8 invalid DifferentPoliciesTest8EE PoliciesP12subsubCAP1P2Cert PoliciesP12subCAP1Cert PoliciesP12CACert |
    PoliciesP12CACRL PoliciesP12subCAP1CRL PoliciesP12subsubCAP1P2CRL
4.8.9 invalid DifferentPoliciesTest9EE PoliciesP123subsubsubCAP12P2P1Cert PoliciesP123subsubCAP12P2Cert
    PoliciesP123subCAP12Cert PoliciesP123CACert | PoliciesP123CACRL PoliciesP123subCAP12CRL
    PoliciesP123subsubCAP2P2CRL PoliciesP123subsubsubCAP12P2P1CRL
4.8.10 valid AllCertificatesSamePoliciesTest10EE PoliciesP12CACert | PoliciesP12CACRL
4.8.11 valid AllCertificatesanyPolicyTest11EE anyPolicyCACert | anyPolicyCACRL
4.8.12 invalid DifferentPoliciesTest12EE PoliciesP3CACert | PoliciesP3CACRL
4.8.13 valid AllCertificatesSamePoliciesTest13EE PoliciesP123CACert | PoliciesP123CACRL
4.8.14 valid AnyPolicyTest14EE anyPolicyCACert | anyPolicyCACRL
4.8.15 valid UserNoticeQualifierTest15EE
4.8.16 valid UserNoticeQualifierTest16EE GoodCACert | GoodCACRL
4.8.17 valid UserNoticeQualifierTest17EE GoodCACert | GoodCACRL
4.8.18 valid UserNoticeQualifierTest18EE PoliciesP12CACert | PoliciesP12CACRL
4.8.19 valid UserNoticeQualifierTest19EE
4.8.20 valid CPSPointerQualifierTest20EE GoodCACert | GoodCACRL
""",
    "4.9 require explicit policy": """
4.9.1 valid ValidrequireExplicitPolicyTest1EE requireExplicitPolicy10subsubsubCACert
    requireExplicitPolicy10subsubCACert requireExplicitPolicy10subCACert requireExplicitPolicy10CACert |
    requireExplicitPolicy10CACRL requireExplicitPolicy10subCACRL requireExplicitPolicy10subsubCACRL
    requireExplicitPolicy10subsubsubCACRL
4.9.2 valid ValidrequireExplicitPolicyTest2EE requireExplicitPolicy5subsubsubCACert requireExplicitPolicy5subsubCACert
    requireExplicitPolicy5subCACert requireExplicitPolicy5CACert | requireExplicitPolicy5CACRL
    requireExplicitPolicy5subCACRL requireExplicitPolicy5subsubCACRL requireExplicitPolicy5subsubsubCACRL
4.9.3 invalid InvalidrequireExplicitPolicyTest3EE requireExplicitPolicy4subsubsubCACert
    requireExplicitPolicy4subsubCACert requireExplicitPolicy4subCACert requireExplicitPolicy4CACert |
    requireExplicitPolicy4CACRL requireExplicitPolicy4subCACRL requireExplicitPolicy4subsubCACRL
    requireExplicitPolicy4subsubsubCACRL
4.9.4 valid ValidrequireExplicitPolicyTest4EE requireExplicitPolicy0subsubsubCACert requireExplicitPolicy0subsubCACert
    requireExplicitPolicy0subCACert requireExplicitPolicy0CACert | requireExplicitPolicy0CACRL
    requireExplicitPolicy0subCACRL requireExplicitPolicy0subsubCACRL requireExplicitPolicy0subsubsubCACRL
4.9.5 invalid InvalidrequireExplicitPolicyTest5EE requireExplicitPolicy7subsubsubCARE2RE4Cert
    requireExplicitPolicy7subsubCARE2RE4Cert requireExplicitPolicy7subCARE2Cert requireExplicitPolicy7CACert |
    requireExplicitPolicy7CACRL requireExplicitPolicy7subCARE2CRL requireExplicitPolicy7subsubCARE2RE4CRL
    requireExplicitPolicy7subsubsubCARE2RE4CRL
4.9.6 valid ValidSelfIssuedrequireExplicitPolicyTest6EE requireExplicitPolicy2SelfIssuedCACert
    requireExplicitPolicy2CACert | requireExplicitPolicy2CACRL
4.9.7 invalid InvalidSelfIssuedrequireExplicitPolicyTest7EE requireExplicitPolicy2subCACert
    requireExplicitPolicy2SelfIssuedCACert requireExplicitPolicy2CACert | requireExplicitPolicy2CACRL
    requireExplicitPolicy2subCACRL
4.9.8 invalid InvalidSelfIssuedrequireExplicitPolicyTest8EE requireExplicitPolicy2SelfIssuedsubCACert
    requireExplicitPolicy2subCACert requireExplicitPolicy2SelfIssuedCACert requireExplicitPolicy2CACert |
    requireExplicitPolicy2CACRL requireExplicitPolicy2subCACRL
""",
    "4.10 policy mappings": """
4.10.1 valid ValidPolicyMappingTest1EE Mapping1to2CACert | Mapping1to2CACRL
4.10.2 invalid InvalidPolicyMappingTest2EE Mapping1to2CACert | Mapping1to2CACRL
4.10.3 valid ValidPolicyMappingTest3EE P12Mapping1to3subsubCACert P12Mapping1to3subCACert P12Mapping1to3CACert |
    P12Mapping1to3CACRL P12Mapping1to3subCACRL P12Mapping1to3subsubCACRL
4.10.4 invalid InvalidPolicyMappingTest4EE P12Mapping1to3subsubCACert P12Mapping1to3subCACert P12Mapping1to3CACert |
    P12Mapping1to3CACRL P12Mapping1to3subCACRL P12Mapping1to3subsubCACRL
4.10.5 valid ValidPolicyMappingTest5EE P1Mapping1to234subCACert P1Mapping1to234CACert | P1Mapping1to234CACRL
    P1Mapping1to234subCACRL
4.10.6 valid ValidPolicyMappingTest6EE P1Mapping1to234subCACert P1Mapping1to234CACert | P1Mapping1to234CACRL
    P1Mapping1to234subCACRL
4.10.7 invalid InvalidMappingFromanyPolicyTest7EE MappingFromanyPolicyCACert | MappingFromanyPolicyCACRL
4.10.8 invalid InvalidMappingToanyPolicyTest8EE MappingToanyPolicyCACert | MappingToanyPolicyCACRL
4.10.9 valid ValidPolicyMappingTest9EE PanyPolicyMapping1to2CACert | PanyPolicyMapping1to2CACRL
4.10.10 invalid InvalidPolicyMappingTest10EE GoodsubCAPanyPolicyMapping1to2CACert GoodCACert | GoodCACRL
    GoodsubCAPanyPolicyMapping1to2CACRL
4.10.11 valid ValidPolicyMappingTest11EE GoodsubCAPanyPolicyMapping1to2CACert GoodCACert | GoodCACRL
    GoodsubCAPanyPolicyMapping1to2CACRL
4.10.12 valid ValidPolicyMappingTest12EE P12Mapping1to3CACert | P12Mapping1to3CACRL
4.10.13 valid ValidPolicyMappingTest13EE P1anyPolicyMapping1to2CACert | P1anyPolicyMapping1to2CACRL
4.10.14 valid ValidPolicyMappingTest14EE P1anyPolicyMapping1to2CACert | P1anyPolicyMapping1to2CACRL
""",
    "4.11 inhibit policy mapping": """
4.11.1 invalid InvalidinhibitPolicyMappingTest1EE inhibitPolicyMapping0subCACert inhibitPolicyMapping0CACert |
    inhibitPolicyMapping0CACRL inhibitPolicyMapping0subCACRL
4.11.2 valid ValidinhibitPolicyMappingTest2EE inhibitPolicyMapping1P12subCACert inhibitPolicyMapping1P12CACert |
    inhibitPolicyMapping1P12CACRL inhibitPolicyMapping1P12subCACRL
4.11.3 invalid InvalidinhibitPolicyMappingTest3EE inhibitPolicyMapping1P12subsubCACert
    inhibitPolicyMapping1P12subCACert inhibitPolicyMapping1P12CACert | inhibitPolicyMapping1P12CACRL
    inhibitPolicyMapping1P12subCACRL inhibitPolicyMapping1P12subsubCACRL
4.11.4 valid ValidinhibitPolicyMappingTest4EE inhibitPolicyMapping1P12subsubCACert inhibitPolicyMapping1P12subCACert
    inhibitPolicyMapping1P12CACert | inhibitPolicyMapping1P12CACRL inhibitPolicyMapping1P12subCACRL
    inhibitPolicyMapping1P12subsubCACRL
4.11.5 invalid InvalidinhibitPolicyMappingTest5EE inhibitPolicyMapping5subsubsubCACert
    inhibitPolicyMapping5subsubCACert inhibitPolicyMapping5subCACert inhibitPolicyMapping5CACert |
    inhibitPolicyMapping5CACRL inhibitPolicyMapping5subCACRL inhibitPolicyMapping5subsubCACRL
    inhibitPolicyMapping5subsubsubCACRL
4.11.6 invalid InvalidinhibitPolicyMappingTest6EE inhibitPolicyMapping1P12subsubCAIPM5Cert
    inhibitPolicyMapping1P12subCAIPM5Cert inhibitPolicyMapping1P12CACert | inhibitPolicyMapping1P12CACRL
    inhibitPolicyMapping1P12subCAIPM5CRL inhibitPolicyMapping1P12subsubCAIPM5CRL
4.11.7 valid ValidSelfIssuedinhibitPolicyMappingTest7EE inhibitPolicyMapping1P1subCACert
    inhibitPolicyMapping1P1SelfIssuedCACert inhibitPolicyMapping1P1CACert | inhibitPolicyMapping1P1CACRL
    inhibitPolicyMapping1P1subCACRL
4.11.8 invalid InvalidSelfIssuedinhibitPolicyMappingTest8EE inhibitPolicyMapping1P1subsubCACert
    inhibitPolicyMapping1P1subCACert inhibitPolicyMapping1P1SelfIssuedCACert inhibitPolicyMapping1P1CACert |
    inhibitPolicyMapping1P1CACRL inhibitPolicyMapping1P1subCACRL inhibitPolicyMapping1P1subsubCACRL
4.11.9 invalid InvalidSelfIssuedinhibitPolicyMappingTest9EE inhibitPolicyMapping1P1subsubCACert
    inhibitPolicyMapping1P1subCACert inhibitPolicyMapping1P1SelfIssuedCACert inhibitPolicyMapping1P1CACert |
    inhibitPolicyMapping1P1CACRL inhibitPolicyMapping1P1subCACRL inhibitPolicyMapping1P1subsubCACRL
4.11.10 invalid InvalidSelfIssuedinhibitPolicyMappingTest10EE inhibitPolicyMapping1P1SelfIssuedsubCACert
    inhibitPolicyMapping1P1subCACert inhibitPolicyMapping1P1SelfIssuedCACert inhibitPolicyMapping1P1CACert |
    inhibitPolicyMapping1P1CACRL inhibitPolicyMapping1P1subCACRL
4.11.11 invalid InvalidSelfIssuedinhibitPolicyMappingTest11EE inhibitPolicyMapping1P1SelfIssuedsubCACert
    inhibitPolicyMapping1P1subCACert inhibitPolicyMapping1P1SelfIssuedCACert inhibitPolicyMapping1P1CACert |
    inhibitPolicyMapping1P1CACRL inhibitPolicyMapping1P1subCACRL
""",
    "4.12 inhibit any policy": """
4.12.1 invalid InvalidinhibitAnyPolicyTest1EE inhibitAnyPolicy0CACert | inhibitAnyPolicy0CACRL
4.12.2 valid ValidinhibitAnyPolicyTest2EE inhibitAnyPolicy0CACert | inhibitAnyPolicy0CACRL
4.12.3 valid inhibitAnyPolicyTest3EE inhibitAnyPolicy1subCA1Cert inhibitAnyPolicy1CACert | inhibitAnyPolicy1CACRL
    inhibitAnyPolicy1subCA1CRL
4.12.4 invalid InvalidinhibitAnyPolicyTest4EE inhibitAnyPolicy1subCA1Cert inhibitAnyPolicy1CACert |
    inhibitAnyPolicy1CACRL inhibitAnyPolicy1subCA1CRL
4.12.5 invalid InvalidinhibitAnyPolicyTest5EE inhibitAnyPolicy5subsubCACert inhibitAnyPolicy5subCACert
    inhibitAnyPolicy5CACert | inhibitAnyPolicy5CACRL inhibitAnyPolicy5subCACRL inhibitAnyPolicy5subsubCACRL
4.12.6 invalid InvalidinhibitAnyPolicyTest6EE inhibitAnyPolicy1subCAIAP5Cert inhibitAnyPolicy1CACert |
    inhibitAnyPolicy1CACRL inhibitAnyPolicy1subCAIAP5CRL
4.12.7 valid ValidSelfIssuedinhibitAnyPolicyTest7EE inhibitAnyPolicy1subCA2Cert inhibitAnyPolicy1SelfIssuedCACert
    inhibitAnyPolicy1CACert | inhibitAnyPolicy1CACRL inhibitAnyPolicy1subCA2CRL
4.12.8 invalid InvalidSelfIssuedinhibitAnyPolicyTest8EE inhibitAnyPolicy1subsubCA2Cert inhibitAnyPolicy1subCA2Cert
    inhibitAnyPolicy1SelfIssuedCACert inhibitAnyPolicy1CACert | inhibitAnyPolicy1CACRL inhibitAnyPolicy1subCA2CRL
    inhibitAnyPolicy1subsubCA2CRL
4.12.9 valid ValidSelfIssuedinhibitAnyPolicyTest9EE inhibitAnyPolicy1SelfIssuedsubCA2Cert inhibitAnyPolicy1subCA2Cert
    inhibitAnyPolicy1SelfIssuedCACert inhibitAnyPolicy1CACert | inhibitAnyPolicy1CACRL inhibitAnyPolicy1subCA2CRL
4.12.10 invalid InvalidSelfIssuedinhibitAnyPolicyTest10EE inhibitAnyPolicy1subCA2Cert
    inhibitAnyPolicy1SelfIssuedCACert inhibitAnyPolicy1CACert | inhibitAnyPolicy1CACRL inhibitAnyPolicy1subCA2CRL
""",
    "4.13 name constraints": """
4.13.1 valid ValidDNnameConstraintsTest1EE nameConstraintsDN1CACert | nameConstraintsDN1CACRL
4.13.2 invalid InvalidDNnameConstraintsTest2EE nameConstraintsDN1CACert | nameConstraintsDN1CACRL
4.13.3 invalid InvalidDNnameConstraintsTest3EE nameConstraintsDN1CACert | nameConstraintsDN1CACRL
4.13.4 valid ValidDNnameConstraintsTest4EE nameConstraintsDN1CACert | nameConstraintsDN1CACRL
4.13.5 valid ValidDNnameConstraintsTest5EE nameConstraintsDN2CACert | nameConstraintsDN2CACRL
4.13.6 valid ValidDNnameConstraintsTest6EE nameConstraintsDN3CACert | nameConstraintsDN3CACRL
4.13.7 invalid InvalidDNnameConstraintsTest7EE nameConstraintsDN3CACert | nameConstraintsDN3CACRL
4.13.8 invalid InvalidDNnameConstraintsTest8EE nameConstraintsDN4CACert | nameConstraintsDN4CACRL
4.13.9 invalid InvalidDNnameConstraintsTest9EE nameConstraintsDN4CACert | nameConstraintsDN4CACRL
4.13.10 invalid InvalidDNnameConstraintsTest10EE nameConstraintsDN5CACert | nameConstraintsDN5CACRL
4.13.11 valid ValidDNnameConstraintsTest11EE nameConstraintsDN5CACert | nameConstraintsDN5CACRL
4.13.12 invalid InvalidDNnameConstraintsTest12EE nameConstraintsDN1subCA1Cert nameConstraintsDN1CACert |
    nameConstraintsDN1CACRL nameConstraintsDN1subCA1CRL
4.13.13 invalid InvalidDNnameConstraintsTest13EE nameConstraintsDN1subCA2Cert nameConstraintsDN1CACert |
    nameConstraintsDN1CACRL nameConstraintsDN1subCA2CRL
4.13.14 valid ValidDNnameConstraintsTest14EE nameConstraintsDN1subCA2Cert nameConstraintsDN1CACert |
    nameConstraintsDN1CACRL nameConstraintsDN1subCA2CRL
4.13.15 invalid InvalidDNnameConstraintsTest15EE nameConstraintsDN3subCA1Cert nameConstraintsDN3CACert |
    nameConstraintsDN3CACRL nameConstraintsDN3subCA1CRL
4.13.16 invalid InvalidDNnameConstraintsTest16EE nameConstraintsDN3subCA1Cert nameConstraintsDN3CACert |
    nameConstraintsDN3CACRL nameConstraintsDN3subCA1CRL
4.13.17 invalid InvalidDNnameConstraintsTest17EE nameConstraintsDN3subCA2Cert nameConstraintsDN3CACert |
    nameConstraintsDN3CACRL nameConstraintsDN3subCA2CRL
4.13.18 valid ValidDNnameConstraintsTest18EE nameConstraintsDN3subCA2Cert nameConstraintsDN3CACert |
    nameConstraintsDN3CACRL nameConstraintsDN3subCA2CRL
4.13.19 valid ValidDNnameConstraintsTest19EE nameConstraintsDN1SelfIssuedCACert nameConstraintsDN1CACert |
    nameConstraintsDN1CACRL
4.13.20 invalid InvalidDNnameConstraintsTest20EE nameConstraintsDN1CACert | nameConstraintsDN1CACRL
4.13.21 valid ValidRFC822nameConstraintsTest21EE nameConstraintsRFC822CA1Cert | nameConstraintsRFC822CA1CRL
4.13.22 invalid InvalidRFC822nameConstraintsTest22EE nameConstraintsRFC822CA1Cert | nameConstraintsRFC822CA1CRL
4.13.23 valid ValidRFC822nameConstraintsTest23EE nameConstraintsRFC822CA2Cert | nameConstraintsRFC822CA2CRL
4.13.24 invalid InvalidRFC822nameConstraintsTest24EE nameConstraintsRFC822CA2Cert | nameConstraintsRFC822CA2CRL
4.13.25 valid ValidRFC822nameConstraintsTest25EE nameConstraintsRFC822CA3Cert | nameConstraintsRFC822CA3CRL
4.13.26 invalid InvalidRFC822nameConstraintsTest26EE nameConstraintsRFC822CA3Cert | nameConstraintsRFC822CA3CRL
4.13.27 valid ValidDNandRFC822nameConstraintsTest27EE nameConstraintsDN1subCA3Cert nameConstraintsDN1CACert |
    nameConstraintsDN1CACRL nameConstraintsDN1subCA3CRL
4.13.28 invalid InvalidDNandRFC822nameConstraintsTest28EE nameConstraintsDN1subCA3Cert nameConstraintsDN1CACert |
    nameConstraintsDN1CACRL nameConstraintsDN1subCA3CRL
4.13.29 invalid InvalidDNandRFC822nameConstraintsTest29EE nameConstraintsDN1subCA3Cert nameConstraintsDN1CACert |
    nameConstraintsDN1CACRL nameConstraintsDN1subCA3CRL
4.13.30 valid ValidDNSnameConstraintsTest30EE nameConstraintsDNS1CACert | nameConstraintsDNS1CACRL
4.13.31 invalid InvalidDNSnameConstraintsTest31EE nameConstraintsDNS1CACert | nameConstraintsDNS1CACRL
4.13.32 valid ValidDNSnameConstraintsTest32EE nameConstraintsDNS2CACert | nameConstraintsDNS2CACRL
4.13.33 invalid InvalidDNSnameConstraintsTest33EE nameConstraintsDNS2CACert | nameConstraintsDNS2CACRL
4.13.34 valid ValidURInameConstraintsTest34EE nameConstraintsURI1CACert | nameConstraintsURI1CACRL
4.13.35 invalid InvalidURInameConstraintsTest35EE nameConstraintsURI1CACert | nameConstraintsURI1CACRL
4.13.36 valid ValidURInameConstraintsTest36EE nameConstraintsURI2CACert | nameConstraintsURI2CACRL
4.13.37 invalid InvalidURInameConstraintsTest37EE nameConstraintsURI2CACert | nameConstraintsURI2CACRL
4.13.38 invalid InvalidDNSnameConstraintsTest38EE nameConstraintsDNS1CACert | nameConstraintsDNS1CACRL
""",
    "4.14 distribution points": """
4.14.1 valid ValiddistributionPointTest1EE distributionPoint1CACert | distributionPoint1CACRL
4.14.2 invalid InvaliddistributionPointTest2EE distributionPoint1CACert | distributionPoint1CACRL
4.14.3 invalid InvaliddistributionPointTest3EE distributionPoint1CACert | distributionPoint1CACRL
4.14.4 valid ValiddistributionPointTest4EE distributionPoint1CACert | distributionPoint1CACRL
4.14.5 valid ValiddistributionPointTest5EE distributionPoint2CACert | distributionPoint2CACRL
4.14.6 invalid InvaliddistributionPointTest6EE distributionPoint2CACert | distributionPoint2CACRL
4.14.7 valid ValiddistributionPointTest7EE distributionPoint2CACert | distributionPoint2CACRL
4.14.8 invalid InvaliddistributionPointTest8EE distributionPoint2CACert | distributionPoint2CACRL
4.14.9 invalid InvaliddistributionPointTest9EE distributionPoint2CACert | distributionPoint2CACRL
4.14.10 valid ValidNoissuingDistributionPointTest10EE NoissuingDistributionPointCACert |
    NoissuingDistributionPointCACRL
4.14.11 invalid InvalidonlyContainsUserCertsTest11EE onlyContainsUserCertsCACert | onlyContainsUserCertsCACRL
4.14.12 invalid InvalidonlyContainsCACertsTest12EE onlyContainsCACertsCACert | onlyContainsCACertsCACRL
4.14.13 valid ValidonlyContainsCACertsTest13EE onlyContainsCACertsCACert | onlyContainsCACertsCACRL
4.14.14 invalid InvalidonlyContainsAttributeCertsTest14EE onlyContainsAttributeCertsCACert |
    onlyContainsAttributeCertsCACRL
4.14.15 invalid InvalidonlySomeReasonsTest15EE onlySomeReasonsCA1Cert | onlySomeReasonsCA1compromiseCRL
    onlySomeReasonsCA1otherreasonsCRL
4.14.16 invalid InvalidonlySomeReasonsTest16EE onlySomeReasonsCA1Cert | onlySomeReasonsCA1compromiseCRL
    onlySomeReasonsCA1otherreasonsCRL
4.14.17 invalid InvalidonlySomeReasonsTest17EE onlySomeReasonsCA2Cert | onlySomeReasonsCA2CRL1 onlySomeReasonsCA2CRL2
4.14.18 valid ValidonlySomeReasonsTest18EE onlySomeReasonsCA3Cert | onlySomeReasonsCA3compromiseCRL
    onlySomeReasonsCA3otherreasonsCRL
4.14.19 valid ValidonlySomeReasonsTest19EE onlySomeReasonsCA4Cert | onlySomeReasonsCA4compromiseCRL
    onlySomeReasonsCA4otherreasonsCRL
4.14.20 invalid InvalidonlySomeReasonsTest20EE onlySomeReasonsCA4Cert | onlySomeReasonsCA4compromiseCRL
    onlySomeReasonsCA4otherreasonsCRL
4.14.21 invalid InvalidonlySomeReasonsTest21EE onlySomeReasonsCA4Cert | onlySomeReasonsCA4compromiseCRL
    onlySomeReasonsCA4otherreasonsCRL
4.14.22 valid ValidIDPwithindirectCRLTest22EE indirectCRLCA1Cert | indirectCRLCA1CRL
4.14.23 invalid InvalidIDPwithindirectCRLTest23EE indirectCRLCA1Cert | indirectCRLCA1CRL
4.14.24 valid ValidIDPwithindirectCRLTest24EE indirectCRLCA2Cert | indirectCRLCA1CRL + indirectCRLCA1Cert
4.14.25 valid ValidIDPwithindirectCRLTest25EE indirectCRLCA2Cert | indirectCRLCA1CRL + indirectCRLCA1Cert
4.14.26 invalid InvalidIDPwithindirectCRLTest26EE indirectCRLCA2Cert | indirectCRLCA1CRL + indirectCRLCA1Cert
4.14.27 invalid InvalidcRLIssuerTest27EE indirectCRLCA2Cert | GoodCACRL + GoodCACert
4.14.28 valid ValidcRLIssuerTest28EE indirectCRLCA3Cert | indirectCRLCA3CRL indirectCRLCA3cRLIssuerCRL +
    indirectCRLCA3cRLIssuerCert
4.14.29 valid ValidcRLIssuerTest29EE indirectCRLCA3Cert | indirectCRLCA3CRL indirectCRLCA3cRLIssuerCRL +
    indirectCRLCA3cRLIssuerCert
4.14.30 valid ValidcRLIssuerTest30EE indirectCRLCA4Cert | indirectCRLCA4cRLIssuerCRL + indirectCRLCA4cRLIssuerCert
4.14.31 invalid InvalidcRLIssuerTest31EE indirectCRLCA6Cert | indirectCRLCA5CRL + indirectCRLCA5Cert
4.14.32 invalid InvalidcRLIssuerTest32EE indirectCRLCA6Cert | indirectCRLCA5CRL + indirectCRLCA5Cert
4.14.33 valid ValidcRLIssuerTest33EE indirectCRLCA6Cert | indirectCRLCA5CRL + indirectCRLCA5Cert
4.14.34 invalid InvalidcRLIssuerTest34EE indirectCRLCA5Cert | indirectCRLCA5CRL
4.14.35 invalid InvalidcRLIssuerTest35EE indirectCRLCA5Cert | indirectCRLCA5CRL
""",
    "4.15 delta-CRLs": """
4.15.1 invalid InvaliddeltaCRLIndicatorNoBaseTest1EE deltaCRLIndicatorNoBaseCACert | deltaCRLIndicatorNoBaseCACRL
4.15.2 valid ValiddeltaCRLTest2EE deltaCRLCA1Cert | deltaCRLCA1CRL deltaCRLCA1deltaCRL
4.15.3 invalid InvaliddeltaCRLTest3EE deltaCRLCA1Cert | deltaCRLCA1CRL deltaCRLCA1deltaCRL
4.15.4 invalid InvaliddeltaCRLTest4EE deltaCRLCA1Cert | deltaCRLCA1CRL deltaCRLCA1deltaCRL
4.15.5 valid ValiddeltaCRLTest5EE deltaCRLCA1Cert | deltaCRLCA1CRL deltaCRLCA1deltaCRL
4.15.6 invalid InvaliddeltaCRLTest6EE deltaCRLCA1Cert | deltaCRLCA1CRL deltaCRLCA1deltaCRL
4.15.7 valid ValiddeltaCRLTest7EE deltaCRLCA1Cert | deltaCRLCA1CRL deltaCRLCA1deltaCRL
4.15.8 valid ValiddeltaCRLTest8EE deltaCRLCA2Cert | deltaCRLCA2CRL deltaCRLCA2deltaCRL
4.15.9 invalid InvaliddeltaCRLTest9EE deltaCRLCA2Cert | deltaCRLCA2CRL deltaCRLCA2deltaCRL
4.15.10 invalid InvaliddeltaCRLTest10EE deltaCRLCA3Cert | deltaCRLCA3CRL deltaCRLCA3deltaCRL
""",
    "4.16 private certificate extensions": """
4.16.1 valid ValidUnknownNotCriticalCertificateExtensionTest1EE
4.16.2 invalid InvalidUnknownCriticalCertificateExtensionTest2EE
""",
}
CASES = tuple(case for table in SECTIONS.values() for case in _read(table))
